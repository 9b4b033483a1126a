import { spawnBound } from "../../local/process.ts";
import { until } from "../until.ts";

/** A headless Chromium with a new profile. */
export interface Browser extends AsyncDisposable {
  /** @param script runs in the page before its own scripts */
  open(url: string, options?: { width?: number; script?: string }): Promise<Page>;
}

/** A tab. */
export interface Page {
  /** The value of an expression, awaited if it is a promise. */
  evaluate(expression: string): Promise<unknown>;
  /** Clicks the button with this text, once it is there. */
  click(button: string): Promise<void>;
  /** Waits until the page shows this text. */
  shows(text: string): Promise<void>;
  /** The visible text. */
  text(): Promise<string>;
  /** The errors that no code of the page caught. */
  readonly exceptions: readonly string[];
}

interface Command {
  readonly method: string;
  readonly params?: Record<string, unknown>;
  readonly sessionId?: string;
}

// deno-lint-ignore no-explicit-any -- the protocol has no types here.
type Result = any;

/**
 * Starts Debian's Chromium, and speaks its DevTools protocol.
 *
 * @throws {Error} when there is no Chromium
 */
export async function startBrowser(): Promise<Browser> {
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-browser-" });
  const { promise: address, resolve: found } = Promise.withResolvers<string>();
  const chromium = spawnBound("chromium", {
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
      "--remote-debugging-port=0",
      `--user-data-dir=${folder}/profile`,
      "about:blank",
    ],
    env: { HOME: folder, PATH: Deno.env.get("PATH") ?? "" },
    onOrphaned: "KILL",
    onLine: (line) => {
      const [, url] = /^DevTools listening on (ws:.+)$/.exec(line) ?? [];
      if (url !== undefined) found(url);
    },
  });
  const failed = chromium.ended.then(() => {
    throw new Error(`Cannot start chromium: ${chromium.lastLines().join("\n")}`);
  });
  failed.catch(() => {});
  const { send, onEvent, close } = await connect(await Promise.race([address, failed]));

  return {
    open: async (url, { width = 1280, script } = {}) => {
      const { targetId } = await send({
        method: "Target.createTarget",
        params: { url: "about:blank" },
      });
      const { sessionId } = await send({
        method: "Target.attachToTarget",
        params: { targetId, flatten: true },
      });
      const exceptions: string[] = [];
      onEvent("Runtime.exceptionThrown", sessionId, ({ exceptionDetails }) => {
        exceptions.push(exceptionDetails.exception?.description ?? exceptionDetails.text);
      });
      const call = (method: string, params: Record<string, unknown> = {}): Promise<Result> =>
        send({ method, params, sessionId });
      await call("Runtime.enable");
      await call("Page.enable");
      await call("Emulation.setDeviceMetricsOverride", {
        width,
        height: 800,
        deviceScaleFactor: 1,
        mobile: width < 600,
      });
      if (script !== undefined) {
        await call("Page.addScriptToEvaluateOnNewDocument", { source: script });
      }
      await call("Page.navigate", { url });
      return pageOf(call, exceptions);
    },
    [Symbol.asyncDispose]: async () => {
      close();
      chromium.signal("SIGTERM");
      await chromium.ended;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function pageOf(
  call: (method: string, params: Record<string, unknown>) => Promise<Result>,
  exceptions: readonly string[],
): Page {
  const evaluate = async (expression: string): Promise<unknown> => {
    const { result, exceptionDetails } = await call("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception.description);
    return result.value;
  };
  const text = async (): Promise<string> => String(await evaluate("document.body?.innerText"));

  return {
    evaluate,
    text,
    exceptions,
    click: async (button) => {
      const find = `[...document.querySelectorAll("button")]
        .find((each) => each.textContent === ${JSON.stringify(button)})`;
      await until(
        `the page has the button ${button}`,
        async () => await evaluate(`${find} !== undefined`) === true,
      );
      await evaluate(`${find}.click()`);
    },
    shows: (wanted) =>
      until(`the page shows ${wanted}`, async () => (await text()).includes(wanted)),
  };
}

/** A connection that numbers its commands, and passes each answer to who sent the command. */
async function connect(address: string): Promise<{
  send(command: Command): Promise<Result>;
  onEvent(method: string, sessionId: string, listener: (params: Result) => void): void;
  close(): void;
}> {
  const socket = new WebSocket(address);
  const waiting = new Map<number, PromiseWithResolvers<Result>>();
  const listeners = new Map<string, (params: Result) => void>();
  socket.onmessage = ({ data }) => {
    const { id, result, error, method, params, sessionId } = JSON.parse(data);
    if (id === undefined) return listeners.get(`${method} ${sessionId}`)?.(params);
    const answer = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) answer?.resolve(result);
    else answer?.reject(new Error(error.message));
  };
  socket.onclose = () => {
    waiting.forEach(({ reject }) => reject(new Error("The browser has closed the connection")));
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });

  let last = 0;
  return {
    send: (command) => {
      const answer = Promise.withResolvers<Result>();
      waiting.set(++last, answer);
      socket.send(JSON.stringify({ id: last, ...command }));
      return answer.promise;
    },
    onEvent: (method, sessionId, listener) => {
      listeners.set(`${method} ${sessionId}`, listener);
    },
    close: () => socket.close(),
  };
}
