import "./style.css";

const { document } = globalThis as unknown as { document: { body: { textContent: string } } };
document.body.textContent = "clerk-sync";
