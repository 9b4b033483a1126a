export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  "public": {
    Tables: {
      "organization_invitations": {
        Row: {
          "accepted_by": string | null;
          "created_at": string | null;
          "email_address": string | null;
          "expires_at": string | null;
          "id": string;
          "inviter_id": string | null;
          "organization_id": string;
          "public_metadata": NonNullable<Json>;
          "role": string | null;
          "role_name": string | null;
          "status": string;
          "synced_at": string;
          "updated_at": string | null;
        };
        ComputedFields: never;
        Insert: {
          "accepted_by"?: string | null;
          "created_at"?: string | null;
          "email_address"?: string | null;
          "expires_at"?: string | null;
          "id": string;
          "inviter_id"?: string | null;
          "organization_id": string;
          "public_metadata"?: NonNullable<Json>;
          "role"?: string | null;
          "role_name"?: string | null;
          "status": string;
          "synced_at"?: string;
          "updated_at"?: string | null;
        };
        Update: {
          "accepted_by"?: string | null;
          "created_at"?: string | null;
          "email_address"?: string | null;
          "expires_at"?: string | null;
          "id"?: string;
          "inviter_id"?: string | null;
          "organization_id"?: string;
          "public_metadata"?: NonNullable<Json>;
          "role"?: string | null;
          "role_name"?: string | null;
          "status"?: string;
          "synced_at"?: string;
          "updated_at"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "organization_invitations_organization_id_fkey";
            columns: ["organization_id"];
            isOneToOne: false;
            referencedRelation: "organizations";
            referencedColumns: ["id"];
          },
        ];
      };
      "organization_memberships": {
        Row: {
          "created_at": string | null;
          "id": string;
          "member_image_url": string | null;
          "member_name": string | null;
          "organization_id": string;
          "permissions": (string)[];
          "public_metadata": NonNullable<Json>;
          "role": string | null;
          "role_name": string | null;
          "superseded": boolean;
          "synced_at": string;
          "updated_at": string | null;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string | null;
          "id": string;
          "member_image_url"?: string | null;
          "member_name"?: string | null;
          "organization_id": string;
          "permissions"?: (string)[];
          "public_metadata"?: NonNullable<Json>;
          "role"?: string | null;
          "role_name"?: string | null;
          "superseded"?: boolean;
          "synced_at"?: string;
          "updated_at"?: string | null;
          "user_id": string;
        };
        Update: {
          "created_at"?: string | null;
          "id"?: string;
          "member_image_url"?: string | null;
          "member_name"?: string | null;
          "organization_id"?: string;
          "permissions"?: (string)[];
          "public_metadata"?: NonNullable<Json>;
          "role"?: string | null;
          "role_name"?: string | null;
          "superseded"?: boolean;
          "synced_at"?: string;
          "updated_at"?: string | null;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "organization_memberships_organization_id_fkey";
            columns: ["organization_id"];
            isOneToOne: false;
            referencedRelation: "organizations";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "organization_memberships_user_id_fkey";
            columns: ["user_id"];
            isOneToOne: false;
            referencedRelation: "profiles";
            referencedColumns: ["id"];
          },
        ];
      };
      "organization_roles": {
        Row: {
          "created_at": string | null;
          "deleted_at": string | null;
          "description": string | null;
          "id": string;
          "key": string | null;
          "name": string | null;
          "permission_ids": (string)[];
          "permission_keys": (string)[];
          "synced_at": string;
          "updated_at": string | null;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string | null;
          "deleted_at"?: string | null;
          "description"?: string | null;
          "id": string;
          "key"?: string | null;
          "name"?: string | null;
          "permission_ids"?: (string)[];
          "permission_keys"?: (string)[];
          "synced_at"?: string;
          "updated_at"?: string | null;
        };
        Update: {
          "created_at"?: string | null;
          "deleted_at"?: string | null;
          "description"?: string | null;
          "id"?: string;
          "key"?: string | null;
          "name"?: string | null;
          "permission_ids"?: (string)[];
          "permission_keys"?: (string)[];
          "synced_at"?: string;
          "updated_at"?: string | null;
        };
        Relationships: [];
      };
      "organizations": {
        Row: {
          "created_at": string | null;
          "created_by": string | null;
          "deleted_at": string | null;
          "has_image": boolean;
          "id": string;
          "image_url": string | null;
          "max_allowed_memberships": number | null;
          "members_count": number | null;
          "name": string | null;
          "public_metadata": NonNullable<Json>;
          "slug": string | null;
          "synced_at": string;
          "updated_at": string | null;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string | null;
          "created_by"?: string | null;
          "deleted_at"?: string | null;
          "has_image"?: boolean;
          "id": string;
          "image_url"?: string | null;
          "max_allowed_memberships"?: number | null;
          "members_count"?: number | null;
          "name"?: string | null;
          "public_metadata"?: NonNullable<Json>;
          "slug"?: string | null;
          "synced_at"?: string;
          "updated_at"?: string | null;
        };
        Update: {
          "created_at"?: string | null;
          "created_by"?: string | null;
          "deleted_at"?: string | null;
          "has_image"?: boolean;
          "id"?: string;
          "image_url"?: string | null;
          "max_allowed_memberships"?: number | null;
          "members_count"?: number | null;
          "name"?: string | null;
          "public_metadata"?: NonNullable<Json>;
          "slug"?: string | null;
          "synced_at"?: string;
          "updated_at"?: string | null;
        };
        Relationships: [];
      };
      "profiles": {
        Row: {
          "banned": boolean;
          "created_at": string | null;
          "deleted_at": string | null;
          "deprovisioned": boolean;
          "email": string | null;
          "email_verified": boolean;
          "external_id": string | null;
          "first_name": string | null;
          "full_name": string | null;
          "has_image": boolean;
          "id": string;
          "image_url": string | null;
          "last_active_at": string | null;
          "last_name": string | null;
          "last_sign_in_at": string | null;
          "legal_accepted_at": string | null;
          "locale": string | null;
          "locked": boolean;
          "phone": string | null;
          "phone_verified": boolean;
          "public_metadata": NonNullable<Json>;
          "synced_at": string;
          "two_factor_enabled": boolean;
          "unsafe_metadata": NonNullable<Json>;
          "updated_at": string | null;
          "username": string | null;
          "verified_emails": (string)[];
        };
        ComputedFields: never;
        Insert: {
          "banned"?: boolean;
          "created_at"?: string | null;
          "deleted_at"?: string | null;
          "deprovisioned"?: boolean;
          "email"?: string | null;
          "email_verified"?: boolean;
          "external_id"?: string | null;
          "first_name"?: string | null;
          "full_name"?: never;
          "has_image"?: boolean;
          "id": string;
          "image_url"?: string | null;
          "last_active_at"?: string | null;
          "last_name"?: string | null;
          "last_sign_in_at"?: string | null;
          "legal_accepted_at"?: string | null;
          "locale"?: string | null;
          "locked"?: boolean;
          "phone"?: string | null;
          "phone_verified"?: boolean;
          "public_metadata"?: NonNullable<Json>;
          "synced_at"?: string;
          "two_factor_enabled"?: boolean;
          "unsafe_metadata"?: NonNullable<Json>;
          "updated_at"?: string | null;
          "username"?: string | null;
          "verified_emails"?: (string)[];
        };
        Update: {
          "banned"?: boolean;
          "created_at"?: string | null;
          "deleted_at"?: string | null;
          "deprovisioned"?: boolean;
          "email"?: string | null;
          "email_verified"?: boolean;
          "external_id"?: string | null;
          "first_name"?: string | null;
          "full_name"?: never;
          "has_image"?: boolean;
          "id"?: string;
          "image_url"?: string | null;
          "last_active_at"?: string | null;
          "last_name"?: string | null;
          "last_sign_in_at"?: string | null;
          "legal_accepted_at"?: string | null;
          "locale"?: string | null;
          "locked"?: boolean;
          "phone"?: string | null;
          "phone_verified"?: boolean;
          "public_metadata"?: NonNullable<Json>;
          "synced_at"?: string;
          "two_factor_enabled"?: boolean;
          "unsafe_metadata"?: NonNullable<Json>;
          "updated_at"?: string | null;
          "username"?: string | null;
          "verified_emails"?: (string)[];
        };
        Relationships: [];
      };
      "subscription_items": {
        Row: {
          "amount": number | null;
          "billing_interval": string | null;
          "created_at": string | null;
          "currency": string | null;
          "id": string;
          "is_free_trial": boolean;
          "organization_id": string | null;
          "period_end": string | null;
          "period_start": string | null;
          "plan_id": string | null;
          "plan_name": string | null;
          "plan_slug": string | null;
          "seats": number | null;
          "status": string | null;
          "synced_at": string;
          "updated_at": string | null;
          "user_id": string | null;
        };
        ComputedFields: never;
        Insert: {
          "amount"?: number | null;
          "billing_interval"?: string | null;
          "created_at"?: string | null;
          "currency"?: string | null;
          "id": string;
          "is_free_trial"?: boolean;
          "organization_id"?: string | null;
          "period_end"?: string | null;
          "period_start"?: string | null;
          "plan_id"?: string | null;
          "plan_name"?: string | null;
          "plan_slug"?: string | null;
          "seats"?: number | null;
          "status"?: string | null;
          "synced_at"?: string;
          "updated_at"?: string | null;
          "user_id"?: string | null;
        };
        Update: {
          "amount"?: number | null;
          "billing_interval"?: string | null;
          "created_at"?: string | null;
          "currency"?: string | null;
          "id"?: string;
          "is_free_trial"?: boolean;
          "organization_id"?: string | null;
          "period_end"?: string | null;
          "period_start"?: string | null;
          "plan_id"?: string | null;
          "plan_name"?: string | null;
          "plan_slug"?: string | null;
          "seats"?: number | null;
          "status"?: string | null;
          "synced_at"?: string;
          "updated_at"?: string | null;
          "user_id"?: string | null;
        };
        Relationships: [];
      };
    };
    Views: {
      [_ in never]: never;
    };
    Functions: {
      "begin_clerk_run": {
        Args: {
          "instance_id"?: string;
          "kind": string;
          "lease_seconds"?: number;
          "options": Json;
          "restart"?: boolean;
        };
        Returns: Json;
      };
      "claim_welcome_mail": {
        Args: {
          "caused_by"?: string;
          "claim": string;
          "lease_seconds": number;
          "per_hour"?: number;
          "user_id": string;
        };
        Returns: string;
      };
      "clerk_changes_status": { Args: Record<PropertyKey, never>; Returns: Json };
      "clerk_sync_activity": { Args: { "minutes"?: number }; Returns: Json };
      "clerk_sync_status": { Args: { "clerk_counts"?: Json }; Returns: Json };
      "delete_clerk_surplus": {
        Args: { "fence": number; "ids": (string)[]; "kind": string; "run_id": number };
        Returns: Json;
      };
      "discard_clerk_messages": { Args: { "message_ids": (string)[] }; Returns: (string)[] };
      "due_clerk_run": { Args: Record<PropertyKey, never>; Returns: string };
      "ensure_profile": {
        Args: Record<PropertyKey, never>;
        Returns: {
          "banned": boolean;
          "created_at": string | null;
          "deleted_at": string | null;
          "deprovisioned": boolean;
          "email": string | null;
          "email_verified": boolean;
          "external_id": string | null;
          "first_name": string | null;
          "full_name": string | null;
          "has_image": boolean;
          "id": string;
          "image_url": string | null;
          "last_active_at": string | null;
          "last_name": string | null;
          "last_sign_in_at": string | null;
          "legal_accepted_at": string | null;
          "locale": string | null;
          "locked": boolean;
          "phone": string | null;
          "phone_verified": boolean;
          "public_metadata": NonNullable<Json>;
          "synced_at": string;
          "two_factor_enabled": boolean;
          "unsafe_metadata": NonNullable<Json>;
          "updated_at": string | null;
          "username": string | null;
          "verified_emails": (string)[];
        };
        SetofOptions: {
          from: "*";
          to: "profiles";
          isOneToOne: true;
          isSetofReturn: true;
        };
      };
      "explain_clerk_object": { Args: { "id_or_address": string }; Returns: Json };
      "find_clerk_objects": {
        Args: { "max_rows"?: number; "name_part": string };
        Returns: (string)[];
      };
      "ingest_clerk_event": {
        Args: {
          "as_type"?: string;
          "dropped"?: (string)[];
          "event": Json;
          "is_delivery"?: boolean;
          "message_id": string;
        };
        Returns: Json;
      };
      "ingest_clerk_snapshot": {
        Args: {
          "dry_run"?: boolean;
          "kind": string;
          "objects": Json;
          "observed_at": number;
          "quiet"?: boolean;
        };
        Returns: Json;
      };
      "keep_clerk_event": {
        Args: {
          "as_type"?: string;
          "dropped"?: (string)[];
          "event": Json;
          "message_id": string;
          "sqlstate": string;
        };
        Returns: Json;
      };
      "list_clerk_changes": { Args: { "max_rows"?: number }; Returns: Json };
      "list_clerk_messages": {
        Args: {
          "after"?: Json;
          "id_part"?: string;
          "max_rows"?: number;
          "message_id"?: string;
          "newest_first"?: boolean;
          "object_id"?: string;
          "outcomes"?: (string)[];
          "since"?: string;
          "type"?: string;
          "until"?: string;
          "with_payload"?: boolean;
        };
        Returns: Json;
      };
      "list_clerk_runs": { Args: { "max_rows"?: number }; Returns: Json };
      "list_clerk_surplus": {
        Args: { "after_id"?: string; "kind": string; "max_rows"?: number; "run_id": number };
        Returns: Json;
      };
      "maintain_clerk_sync": {
        Args: { "batch"?: number; "dry_run"?: boolean; "next"?: Json };
        Returns: Json;
      };
      "note_clerk_seen": {
        Args: { "fence": number; "ids": (string)[]; "run_id": number };
        Returns: boolean;
      };
      "note_clerk_surplus": {
        Args: { "fence": number; "ids": (string)[]; "kind": string; "run_id": number };
        Returns: Json;
      };
      "read_clerk_changes": {
        Args: { "batch": number; "visibility_seconds": number };
        Returns: Json[];
      };
      "record_clerk_rejection": {
        Args: { "issues": Json; "message_id": string; "payload": Json; "type": string };
        Returns: Json;
      };
      "redrive_clerk_changes": { Args: { "batch"?: number }; Returns: number };
      "replay_clerk_message": {
        Args: {
          "as_type"?: string;
          "dropped"?: (string)[];
          "dry_run"?: boolean;
          "message_id": string;
        };
        Returns: Json;
      };
      "save_clerk_run": {
        Args: {
          "fence": number;
          "is_finished"?: boolean;
          "lease_seconds"?: number;
          "run_id": number;
          "state": Json;
        };
        Returns: boolean;
      };
      "settle_clerk_changes": { Args: { "settlements": Json }; Returns: Json };
      "settle_welcome_mail": {
        Args: { "claim": string; "user_id": string; "was_sent": boolean };
        Returns: undefined;
      };
    };
    Enums: {
      [_ in never]: never;
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">;

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">];

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof (
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
    )
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals } ? (
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
  )[TableName] extends {
    Row: infer R;
  } ? R
  : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R;
    } ? R
    : never
  : never;

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Insert: infer I;
    } ? I
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I;
    } ? I
    : never
  : never;

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Update: infer U;
    } ? U
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U;
    } ? U
    : never
  : never;

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never;

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never,
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][
    CompositeTypeName
  ]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never;

export const Constants = {
  "public": {
    Enums: {},
  },
} as const;
