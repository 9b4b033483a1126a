import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { dateTime, duration } from "../words.ts";

const ticking = new Set<() => void>();
setInterval(() => document.hidden || ticking.forEach((tick) => tick()), 1000);

/** Draws the component again each second. */
export function useTick(): void {
  const [, setTick] = useState(0);
  useEffect(() => {
    const tick = (): void => setTick((last) => last + 1);
    ticking.add(tick);
    return () => void ticking.delete(tick);
  }, []);
}

/** How long ago something was, or how soon it will be. It ticks. */
export function Age({ at }: { readonly at: string }): VNode {
  useTick();
  const seconds = (Date.now() - Date.parse(at)) / 1000;
  return <time dateTime={at} title={dateTime(at)}>{ageText(seconds)}</time>;
}

function ageText(seconds: number): string {
  // Clocks of two machines differ a little.
  if (Math.abs(seconds) < 1) return "now";
  return seconds < 0 ? `in ${duration(-seconds)}` : `${duration(seconds)} ago`;
}

/** An age that the server gave in seconds, as of then. */
export function AgeOf(
  { seconds, since }: { readonly seconds: number | null; readonly since: number },
): VNode {
  useTick();
  if (seconds === null) return <>never</>;
  return <time>{duration(seconds + (Date.now() - since) / 1000)} ago</time>;
}
