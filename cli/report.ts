import { createClient } from "@supabase/supabase-js";
import { readEnvironment } from "../local/env_file.ts";
import { sessionToken } from "../local/clerk/session_token.ts";
import type { Sent } from "../operations/deliver_all.ts";
import { adviceOn, type Sending } from "../operations/outcome_advice.ts";
import type { Database } from "../supabase/database.types.ts";
import { paintFor } from "./colour.ts";
import { bar } from "./progress.ts";
import { asTyped } from "./usage.ts";

/** Up to this number, deliveries are listed one by one. */
export const FEW = 5;

const paint = paintFor(Deno.stdout);

/** Prints the outcome of each delivery or, when there are many, how often each outcome occurred. */
export function printDeliveries(deliveries: readonly Sent[]): void {
  if (deliveries.length <= FEW) list(deliveries);
  else summarize(deliveries);
}

function list(deliveries: readonly Sent[]): void {
  for (const { id, outcome, status, milliseconds } of deliveries) {
    const word = paint(`${outcome.padEnd(10)} ${status}`, status);
    console.log(
      `${word}  ${milliseconds.toFixed(0).padStart(4)} ms  ${id}`,
    );
  }
}

function summarize(deliveries: readonly Sent[]): void {
  const counts = new Map<string, number>();
  const statuses = new Map<string, number>();
  for (const { outcome, status } of deliveries) {
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    statuses.set(outcome, status);
  }

  for (const [outcome, count] of [...counts].sort(([, one], [, other]) => other - one)) {
    console.log(
      `${paint(outcome.padEnd(14), statuses.get(outcome) ?? 0)} ${String(count).padStart(7)}  ${
        bar(count / deliveries.length)
      }`,
    );
  }

  const times = deliveries.map(({ milliseconds }) => milliseconds).sort((one, other) =>
    one - other
  );
  const percentile = (share: number): string =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(0);
  console.log(
    `${deliveries.length} deliveries: p50 ${percentile(0.5)} ms, p95 ${percentile(0.95)} ms`,
  );
}

/** Prints, for each outcome that is no success, its likely cause and the next step. */
export async function advise(deliveries: readonly Sent[], sending: Sending): Promise<void> {
  const first = new Map<string, Sent>();
  for (const sent of deliveries) if (!first.has(sent.outcome)) first.set(sent.outcome, sent);

  for (const [outcome, { id }] of first) {
    if (outcome === "applied" || outcome === "duplicate") continue;
    const [cause, next] = adviceOn(outcome, await sending.stored?.message(id), sending);
    console.log(asTyped(`\n${outcome}: ${cause}.\n  ${next}.`));
  }
}

/**
 * Prints a user's profile and teams as that user reads them: with the publishable key and a session
 * token, under row-level security.
 *
 * NOTE: without a prefix, which the tables of `dev` have only if somebody replaced its migrations. Then there
 * is nothing to read, and it says so.
 */
export async function printProfile(user: string, envFile: string | undefined): Promise<void> {
  const environment = await readEnvironment({ envFile });
  const token = await sessionToken({ sub: user }, envFile);
  const supabase = createClient<Database>(
    environment.SUPABASE_URL,
    environment.SUPABASE_PUBLISHABLE_KEY,
    { accessToken: () => Promise.resolve(token) },
  );

  const profile = await supabase.from("profiles").select().eq("id", user).maybeSingle();
  const teams = await supabase
    .from("organization_memberships")
    .select("role, member_name, user_id, organization:organizations(id, name)")
    .order("created_at");

  console.log();
  if (profile.error !== null) {
    printUnread("profiles", profile.error.code);
  } else if (profile.data === null) {
    console.log(`${user} reads no profile: there is none, or it was deleted.`);
  } else {
    console.log("The profile, as they read it:");
    printRow(profile.data);
  }

  if (teams.data !== null && teams.data.length > 0) {
    console.log("\nTheir teams, as they read them:");
    for (const { organization, role, member_name, user_id } of teams.data) {
      const team = organization.name ?? organization.id;
      console.log(`  ${team.padEnd(34)} ${(role ?? "–").padEnd(12)} ${member_name ?? user_id}`);
    }
  }
}

/** Prints the row of the organization that an event is about, if it is about one. Only members read it. */
export async function printOrganization(body: string, envFile: string | undefined): Promise<void> {
  const { type, data } = JSON.parse(body);
  if (!String(type).startsWith("organization.")) return;
  const environment = await readEnvironment({ envFile });
  const supabase = createClient<Database>(
    environment.SUPABASE_URL,
    environment.SUPABASE_SECRET_KEY,
  );

  const { data: row, error } = await supabase.from("organizations").select().eq("id", data.id)
    .maybeSingle();

  console.log();
  if (error !== null) {
    printUnread("organizations", error.code);
  } else if (row === null) {
    console.log(`There is no row of ${data.id}.`);
  } else {
    console.log("The row, which members of the organization read:");
    printRow(row);
  }
}

function printRow(row: Readonly<Record<string, unknown>>): void {
  const width = Math.max(18, ...Object.keys(row).map(({ length }) => length));
  for (const [column, value] of Object.entries(row)) {
    const text = typeof value === "object" && value !== null ? JSON.stringify(value) : value;
    console.log(`  ${column.padEnd(width)} ${text ?? "–"}`);
  }
}

function printUnread(table: string, code: string): void {
  console.log(
    `The row cannot be shown: nothing can be read from a table ${table} (${code}). If your tables have a prefix, send does not know it.`,
  );
}
