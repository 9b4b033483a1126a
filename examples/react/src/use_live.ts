import { useEffect, useState } from "react";
import { supabase } from "./supabase.ts";

/** What supabase-js answers. */
interface Answer<Data> {
  readonly data: Data | null;
  readonly error: { readonly message: string } | null;
}

const POLL_MILLISECONDS = 2_000;

/**
 * Loads data, and keeps it current: with Realtime, or by loading again every two seconds where
 * there is no Realtime, as on the local stack.
 *
 * @param load a function that is the same in every render
 * @param id what to load; another one starts afresh
 * @param table the published table whose row `id` is watched. Without it, `load` is repeated:
 *   memberships are not published, because Realtime would tell everybody about deletions.
 * @returns undefined until the first answer
 */
export function useLive<Data>(
  load: (id: string) => PromiseLike<Answer<Data>>,
  id: string,
  table?: "profiles" | "organizations",
): Answer<Data> | undefined {
  const [answer, setAnswer] = useState<Answer<Data>>();

  useEffect(() => {
    let asked = 0;
    let shown = 0;
    const refresh = async (): Promise<void> => {
      const turn = ++asked;
      const next = await load(id);
      // A slow answer must not replace a newer one.
      if (turn < shown) return;
      shown = turn;
      setAnswer(next);
    };

    let isLive = false;
    const timer = setInterval(() => {
      if (!isLive && !document.hidden) void refresh();
    }, POLL_MILLISECONDS);
    const stop = table === undefined ? undefined : subscribe(table, id, refresh, (live) => {
      isLive = live;
    });
    void refresh();

    return () => {
      shown = Infinity;
      clearInterval(timer);
      stop?.();
    };
  }, [load, id, table]);

  return answer;
}

let channels = 0;

/** Calls back on every change of a row, and whenever Realtime starts or stops to report them. */
function subscribe(
  table: string,
  id: string,
  onChange: () => void,
  onLive: (isLive: boolean) => void,
): () => void {
  // A name of its own, because a channel that is being closed keeps its name for a while.
  const channel = supabase.channel(`live-${++channels}`)
    .on(
      "postgres_changes",
      { event: "*", schema: "public", table, filter: `id=eq.${id}` },
      onChange,
    )
    .on("system", {}, ({ extension, status }) => {
      if (extension !== "postgres_changes") return;
      onLive(status === "ok");
      // What changed before is not reported.
      if (status === "ok") onChange();
    });

  let isOver = false;
  // Without an argument, it asks for a new token whenever the old one is about to expire.
  void supabase.realtime.setAuth().then(() => {
    if (isOver) return;
    channel.subscribe((status) => {
      if (status !== "SUBSCRIBED") onLive(false);
    });
  });

  return () => {
    isOver = true;
    void supabase.removeChannel(channel);
  };
}
