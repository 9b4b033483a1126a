-- The tables that the handlers in this folder write to, as in their guides.

create table public.users (
  id text primary key,
  email text,
  first_name text,
  last_name text,
  image_url text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table public.processed_events (
  event_id text primary key,
  type text not null,
  status text not null default 'processing',
  created_at timestamptz not null default now(),
  processed_at timestamptz
);

alter table public.users enable row level security;
alter table public.processed_events enable row level security;

grant select, insert, update, delete on table public.users, public.processed_events to service_role;
