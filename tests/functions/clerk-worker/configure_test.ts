import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigurationError } from "../../../functions/_shared/clerk_sync/configuration.ts";
import type { LogEntry } from "../../../functions/_shared/clerk_sync/log.ts";
import {
  configure as configureAll,
  workerSecret,
} from "../../../functions/clerk-worker/configure.ts";
import { SETTINGS, type WorkerDeps } from "../../../functions/clerk-worker/drain/worker.ts";
import { aSigningSecret } from "../../../local/clerk/signing_secret.ts";

const SOUND: Readonly<Record<string, string>> = {
  SUPABASE_URL: "http://127.0.0.1:9",
  SUPABASE_SECRET_KEYS: '{"clerk_worker":"sb_secret_made_up","default":"sb_secret_other"}',
};
const MAIL = { WELCOME_FROM: "hello@example.com", WELCOME_APP: "Lantern" };

function configure(
  env: Record<string, string> = {},
): { worker: WorkerDeps; log: readonly LogEntry[] } {
  const all: Readonly<Record<string, string>> = { ...SOUND, ...env };
  const log: LogEntry[] = [];
  const { worker } = configureAll((name) => all[name], (entry) => log.push(entry));
  return { worker, log };
}

function handlersOf({ worker }: { worker: WorkerDeps }): string[] {
  return worker.handlers.map(({ name }) => name);
}

Deno.test("without configuration every handler is off, and the log says so once for each", () => {
  const configured = configure();

  assertEquals(handlersOf(configured), []);
  assertEquals(configured.log, [
    { level: "info", message: "forward is off: FORWARD_URLS is not set" },
    { level: "info", message: "welcome_email is off: RESEND_API_KEY or SMTP_URL is not set" },
  ]);
});

const BOTH_ON = [
  { level: "info", message: "forward is on" },
  { level: "info", message: "welcome_email is on" },
];

Deno.test("a configured handler is on, and the log says so once for each", () => {
  const forward = {
    FORWARD_URLS: "https://one.example.com, http://two.example.com\nhttps://three.example.com",
    FORWARD_SIGNING_SECRET: aSigningSecret(),
  };

  for (const mail of [{ RESEND_API_KEY: "re_made_up" }, { SMTP_URL: "smtps://127.0.0.1:9" }]) {
    const configured = configure({ ...forward, ...MAIL, ...mail });
    assertEquals([handlersOf(configured), configured.log], [["forward", "welcome_email"], BOTH_ON]);
  }
});

Deno.test("blank variables count as not set", () => {
  const configured = configure({
    FORWARD_URLS: " , ",
    RESEND_API_KEY: " ",
    SMTP_URL: "",
    CLERK_WORKER_MAX_READS: "",
  });

  assertEquals([handlersOf(configured), configured.log.length], [[], 2]);
  assertEquals(configured.worker.settings, SETTINGS);
});

Deno.test("the number of reads before a change is dead-lettered is a whole number above 0", () => {
  assertEquals(configure({ CLERK_WORKER_MAX_READS: "1" }).worker.settings.maxReads, 1);

  for (const number of ["0", "-1", "1.5", "many", "1e300"]) {
    assertThrows(
      () => configure({ CLERK_WORKER_MAX_READS: number }),
      ConfigurationError,
      "CLERK_WORKER_MAX_READS",
    );
  }
});

Deno.test("signing secrets are separated by commas or white space, and each is checked", () => {
  const [one, other] = [aSigningSecret(), aSigningSecret()];
  const forward = (secrets: string): { worker: WorkerDeps; log: readonly LogEntry[] } =>
    configure({ FORWARD_URLS: "https://example.com", FORWARD_SIGNING_SECRET: secrets });

  for (const between of [",", " ", ", ", "\n"]) {
    assertEquals(handlersOf(forward(` ${one}${between}${other} `)), ["forward"]);
  }
  for (const secrets of [`${one},whsec_short`, `${one} other`, ",", `${one}${other}`]) {
    assertThrows(() => forward(secrets), ConfigurationError, "FORWARD_SIGNING_SECRET");
  }
});

Deno.test("the mails of an hour are a whole number above 0, which the database can take", () => {
  const mail = { ...MAIL, RESEND_API_KEY: "re_made_up" };
  assertEquals(handlersOf(configure({ ...mail, WELCOME_PER_HOUR: " 1 " })), ["welcome_email"]);

  for (const number of ["0", "-1", "1.5", "many", "2147483648"]) {
    assertThrows(
      () => configure({ ...mail, WELCOME_PER_HOUR: number }),
      ConfigurationError,
      "Cannot start as WELCOME_PER_HOUR is not a whole number from 1 to 2147483647",
    );
  }
});

const FOREIGN: [string, Record<string, string>][] = [
  ["FORWARD_URLS", { FORWARD_URLS: "file:///etc/passwd" }],
  ["FORWARD_URLS", { FORWARD_URLS: "https://example.com data:text/plain,x" }],
  ["SMTP_URL", { SMTP_URL: "https://mail.example.com", ...MAIL }],
  ["SMTP_URL", { SMTP_URL: "mail.example.com:465", ...MAIL }],
];

Deno.test("a URL of another protocol is refused, and not quoted", () => {
  for (const [variable, env] of FOREIGN) {
    const error = assertThrows(
      () => configure({ FORWARD_SIGNING_SECRET: aSigningSecret(), ...env }),
      ConfigurationError,
      variable,
    );
    assert(!/passwd|data:|mail\.example/.test(error.message), error.message);
  }
});

Deno.test("the worker's secret has at least 16 bytes, and is not quoted", () => {
  const secret = (value: string): string => workerSecret(() => value);

  assertEquals(["x".repeat(16), "\u00e9".repeat(8)].map(secret).length, 2);
  for (const short of ["changeme", "x".repeat(15), ` ${"x".repeat(15)} `, "\u00e9".repeat(7)]) {
    const error = assertThrows(
      () => secret(short),
      ConfigurationError,
      "CLERK_WORKER_SECRET is too short: it takes at least 16 bytes",
    );
    assert(!error.message.includes(short.trim()), error.message);
  }
});

Deno.test("a malformed or short signing secret is refused, and not quoted", () => {
  const short = `whsec_${new Uint8Array(15).fill(7).toBase64()}`;
  for (
    const secret of ["hush", "whsec_hush", short, `${aSigningSecret()}!`, `x${aSigningSecret()}`]
  ) {
    const error = assertThrows(
      () => configure({ FORWARD_URLS: "https://example.com", FORWARD_SIGNING_SECRET: secret }),
      ConfigurationError,
      "FORWARD_SIGNING_SECRET",
    );
    assert(!error.message.includes(secret.replace(/^whsec_/, "")), error.message);
  }
});

Deno.test("the all-powerful key is used with a warning, and not quoted", () => {
  const { log } = configure({ SUPABASE_SECRET_KEYS: '{"default":"sb_secret_other"}' });

  assertEquals(log[0]?.level, "warn");
  assert(!JSON.stringify(log).includes("sb_secret_other"));
});
