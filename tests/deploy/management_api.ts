/**
 * A stand-in for the part of the Supabase Management API that `supabase functions deploy` calls
 * (https://supabase.com/docs/reference/api).
 */
export interface ManagementApi extends AsyncDisposable {
  /** The reference of the one project there is. */
  readonly projectRef: string;
  /** The personal access token that it accepts. */
  readonly token: string;
  /** A profile for the CLI's flag `--profile`, as YAML. */
  readonly profile: string;
  /** What was deployed, in order. */
  readonly deployments: readonly Deployment[];
}

/** One `POST /v1/projects/{ref}/functions/deploy`. */
export interface Deployment {
  readonly slug: string | null;
  readonly metadata: unknown;
  /** Texts by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** Starts the stand-in on a free port of 127.0.0.1. */
export function startManagementApi(): ManagementApi {
  const projectRef = randomText(20, "abcdefghijklmnopqrstuvwxyz");
  const token = `sbp_${randomText(40, "0123456789abcdef")}`;
  const deployments: Deployment[] = [];

  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      if (request.headers.get("authorization") !== `Bearer ${token}`) {
        return Response.json({ message: "Unauthorized" }, { status: 401 });
      }
      const { pathname, searchParams } = new URL(request.url);

      switch (`${request.method} ${pathname}`) {
        case `GET /v1/projects/${projectRef}`:
          return Response.json(project(projectRef));
        case `POST /v1/projects/${projectRef}/functions/deploy`: {
          const slug = searchParams.get("slug");
          deployments.push({ slug, ...await readUpload(request) });
          return Response.json(deployed(slug, deployments.length), { status: 201 });
        }
        default:
          return Response.json({ message: "Not Found" }, { status: 404 });
      }
    },
  );

  const url = `http://127.0.0.1:${server.addr.port}`;
  return {
    projectRef,
    token,
    profile: [
      "name: stand-in",
      `api_url: ${url}`,
      `dashboard_url: ${url}`,
      "project_host: supabase.co",
      "",
    ].join("\n"),
    deployments,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function readUpload(request: Request): Promise<Omit<Deployment, "slug">> {
  const form = await request.formData();
  const files: Record<string, string> = {};
  for (const part of form.getAll("file")) {
    if (part instanceof File) files[part.name] = await part.text();
  }
  return { metadata: JSON.parse(String(form.get("metadata"))), files };
}

function project(ref: string): unknown {
  return {
    id: ref,
    ref,
    name: "stand-in",
    organization_id: "stand-in",
    organization_slug: "stand-in",
    region: "eu-central-1",
    status: "ACTIVE_HEALTHY",
    created_at: "2026-11-01T00:00:00Z",
    database: {
      host: `db.${ref}.supabase.co`,
      version: "17.6.1",
      postgres_engine: "17",
      release_channel: "ga",
    },
  };
}

function deployed(slug: string | null, version: number): unknown {
  return {
    id: crypto.randomUUID(),
    slug,
    name: slug,
    version,
    status: "ACTIVE",
    created_at: 1793491200000,
    updated_at: 1793491200000,
    verify_jwt: false,
  };
}

function randomText(length: number, alphabet: string): string {
  const random = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(random, (byte) => alphabet.charAt(byte % alphabet.length)).join("");
}
