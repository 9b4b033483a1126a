import { runSupabase } from "../../cli/supabase_cli.ts";
import { writeFiles } from "../deploy/checkout_copy.ts";

/** A Supabase project in a folder of its own, made by the real `supabase init`. */
export interface ProjectCopy extends AsyncDisposable {
  /** The folder that contains `supabase/`, without a slash at the end. */
  readonly dir: string;
  /** The texts of all files, by their paths. */
  files(): Promise<Record<string, string>>;
}

/** A project that people have. */
export interface Fixture {
  /** What is in it besides what `supabase init` makes. */
  readonly files: Readonly<Record<string, string>>;
  /** Appended to config.toml. */
  readonly config?: string;
  /** Rows of the application. */
  readonly rows?: string;
  /** What clerk-sync cannot be installed without. */
  readonly prefix?: string;
}

const HELLO_CONFIG = `
# Greets.
[functions.hello]
verify_jwt = true # for signed-in users
import_map = "./functions/import_map.json"

[auth.external.github]
enabled = false # soon
`;

export const FIXTURES = {
  fresh: { files: {} },

  "with the profiles of Supabase's quickstart": {
    prefix: "clerk_",
    files: {
      "supabase/migrations/20250301120000_user_management_starter.sql": `
        -- Create a table for public profiles
        create table profiles (
          id uuid references auth.users on delete cascade not null primary key,
          updated_at timestamp with time zone,
          username text unique,
          full_name text,
          avatar_url text,
          website text,

          constraint username_length check (char_length(username) >= 3)
        );
        alter table profiles
          enable row level security;

        create policy "Public profiles are viewable by everyone." on profiles
          for select using (true);
        create policy "Users can insert their own profile." on profiles
          for insert with check ((select auth.uid()) = id);
        create policy "Users can update own profile." on profiles
          for update using ((select auth.uid()) = id);

        create function public.handle_new_user()
        returns trigger
        set search_path = ''
        as $$
        begin
          insert into public.profiles (id, full_name, avatar_url)
          values (new.id, new.raw_user_meta_data->>'full_name', new.raw_user_meta_data->>'avatar_url');
          return new;
        end;
        $$ language plpgsql security definer;
        create trigger on_auth_user_created
          after insert on auth.users
          for each row execute procedure public.handle_new_user();
      `,
    },
    rows: `
      insert into auth.users (id, raw_user_meta_data)
      values ('00000000-0000-4000-8000-000000000001', '{"full_name": "Their Ada"}');
    `,
  },

  "with profiles of its own, whose ids are text": {
    prefix: "clerk_",
    files: {
      "supabase/migrations/20250401120000_profiles.sql": `
        create table if not exists public."profiles" (
          "id" text primary key,
          email text unique not null,
          visits integer not null default 0
        );
        create index profiles_by_email on public.profiles (email);
        alter table public.profiles enable row level security;
        create policy own on public.profiles for all using (id = (auth.jwt() ->> 'sub'));

        create function public.lower_email() returns trigger language plpgsql as $$
        begin
          new.email := lower(new.email);
          return new;
        end $$;
        create trigger lower_email before insert or update on public.profiles
          for each row execute function public.lower_email();

        create table public."order" (id bigint primary key, profile text references public.profiles);
        grant select, insert on public.profiles to authenticated;
      `,
      // Dates in the future come from clocks that are wrong, and from copies by hand.
      "supabase/migrations/20991231235959_orders.sql": `
        alter table public."order" add column "user" text;
      `,
    },
    rows: `
      insert into public.profiles (id, email) values ('user_theirs', 'Theirs@Example.com');
      insert into public."order" values (1, 'user_theirs', 'x');
    `,
  },

  "with functions, a _shared/ and an import map of its own": {
    files: {
      "supabase/functions/hello/index.ts": `
        import { greet } from "../_shared/greet.ts";
        import { assertEquals } from "their-assert";
        assertEquals(greet("Ada"), "Hello Ada");
        Deno.serve(() => new Response(greet("Ada")));
      `,
      "supabase/functions/_shared/greet.ts":
        "export const greet = (name: string): string => `Hello ${name}`;\n",
      "supabase/functions/_shared/assert.ts":
        "export function assertEquals(a: unknown, b: unknown): void { if (a !== b) throw new Error(); }\n",
      "supabase/functions/import_map.json":
        '{ "imports": { "their-assert": "./_shared/assert.ts" } }\n',
      "supabase/migrations/20250501120000_notes.sql": `
        create table public.notes (id bigint primary key, "text" text);
      `,
    },
    config: HELLO_CONFIG,
    rows: "insert into public.notes values (1, 'theirs');",
  },
} as const satisfies Record<string, Fixture>;

let initialized: Promise<Record<string, string>> | undefined;

/** Makes a project: what \`supabase init\` writes, and the files of a fixture. */
export async function aProject({ files, config = "" }: Fixture): Promise<ProjectCopy> {
  initialized ??= initialize();
  const dir = await Deno.makeTempDir({ prefix: "clerk-sync-project-" });
  const made = await initialized;
  await writeFiles(dir, {
    ...made,
    ...files,
    "supabase/config.toml": `${made["supabase/config.toml"]}${config}`,
  });
  return {
    dir,
    files: () => filesBelow(dir),
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

async function initialize(): Promise<Record<string, string>> {
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-initialized-" });
  try {
    const { code, stderr } = await runSupabase(["init"], { cwd: folder });
    if (code !== 0) throw new Error(stderr);
    return await filesBelow(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The texts of all files below a folder, but for what the Supabase CLI keeps for itself. */
export async function filesBelow(folder: string, below = ""): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${below}`)) {
    if (name === ".temp" || name === ".branches") continue;
    const path = `${below}${name}`;
    if (isDirectory) Object.assign(files, await filesBelow(folder, `${path}/`));
    else files[path] = await Deno.readTextFile(`${folder}/${path}`);
  }
  return files;
}
