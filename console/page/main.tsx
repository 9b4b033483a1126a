import { render } from "preact";
import { useState } from "preact/hooks";
import uPlot from "uplot";
import { PostgrestClient } from "@supabase/postgrest-js";
import "./style.css";

function App(): preact.JSX.Element {
  const [n, setN] = useState(0);
  return <button onClick={() => setN(n + 1)}>{n} {String(uPlot)} {String(PostgrestClient)}</button>;
}
const root = document.getElementById("root");
if (root !== null) render(<App />, root);
