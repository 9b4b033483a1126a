/** The parts of Clerk's event that the handlers in this folder read. */
export interface UserEvent {
  readonly type: string;
  readonly data: {
    readonly id: string;
    readonly first_name?: string | null;
    readonly last_name?: string | null;
    readonly image_url?: string | null;
    readonly primary_email_address_id?: string | null;
    readonly email_addresses?: readonly { readonly id: string; readonly email_address: string }[];
  };
}

/** The primary address. */
export function primaryEmail({ primary_email_address_id, email_addresses }: UserEvent["data"]):
  | string
  | null {
  return email_addresses?.find(({ id }) => id === primary_email_address_id)?.email_address ?? null;
}
