import { assertEquals } from "@std/assert";
import { readSource } from "../../adopt/source.ts";
import { takenNames } from "../../adopt/taken.ts";

const SOURCE = await readSource("");

function taken(...texts: string[]): string[] {
  const files = texts.map((text, at) => ({ path: `${at}.sql`, text }));
  return takenNames(files, SOURCE).map(({ what, file, idType = "-", canBePrefixed }) =>
    `${what} ${file} ${idType} ${canBePrefixed ? "prefix" : "rename"}`
  );
}

Deno.test("takenNames() + finds what has a name of ours, however it is written", () => {
  for (
    const [sql, found] of [
      ["create table profiles (id uuid primary key);", "table public.profiles 0.sql uuid prefix"],
      [
        'CREATE TABLE IF NOT EXISTS "public"."profiles" (\n  "id" text not null);',
        "table public.profiles 0.sql text prefix",
      ],
      ["create view public.organizations as select 1;", "view public.organizations 0.sql - prefix"],
      ["create unlogged table Profiles (a int);", "table public.profiles 0.sql - prefix"],
      [
        "create index concurrently profiles_blocked on x (y);",
        "index public.profiles_blocked 0.sql - prefix",
      ],
      [
        "create or replace function ensure_profile() returns int",
        "function public.ensure_profile 0.sql - prefix",
      ],
      [
        "create function public.ingest_clerk_event() returns int",
        "function public.ingest_clerk_event 0.sql - rename",
      ],
      ["create schema if not exists clerk;", "schema clerk 0.sql - rename"],
      ["alter table people rename to profiles;", "table public.profiles 0.sql - prefix"],
    ] as const
  ) {
    assertEquals(taken(sql), [found], sql);
  }
});

Deno.test("takenNames() + leaves what has another name, schema or case, or is gone again", () => {
  for (
    const sql of [
      "create table app.profiles (id uuid);",
      'create table "Profiles" (id uuid);',
      'create table "order" (id int);',
      "create table user_profiles (id uuid);",
      "-- create table profiles (id uuid);",
      "/* create table profiles (id uuid); */",
      "create table profiles (id uuid); drop table if exists public.profiles cascade;",
      'create table profiles (id uuid); drop table a, "x" , public."profiles",b;',
      'create table profiles (id uuid); alter table profiles rename to "people";',
      "create policy profiles_select_own on x; alter table profiles add column x int;",
    ]
  ) {
    assertEquals(taken(sql), [], sql);
  }
  assertEquals(taken("create table profiles (id uuid);", "drop table profiles;"), []);
});
