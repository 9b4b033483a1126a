import type { Mutation } from "../mutation.ts";
import { GATE } from "./gate.ts";
import { HTTP } from "./http.ts";
import { I10_LEAST_PRIVILEGE } from "./i10_least_privilege.ts";
import { I11_APPLICATION_COLUMNS } from "./i11_application_columns.ts";
import { I12_NOTHING_IS_LOST } from "./i12_nothing_is_lost.ts";
import { I1_AUTHENTIC } from "./i1_authentic.ts";
import { I2_DURABLE } from "./i2_durable.ts";
import { I3_ONCE } from "./i3_once.ts";
import { I4_CONVERGENT } from "./i4_convergent.ts";
import { I5_DELETION_IS_TERMINAL } from "./i5_deletion_is_terminal.ts";
import { I6_CHILDREN_FIRST } from "./i6_children_first.ts";
import { I7_ONE_MESSAGE } from "./i7_one_message.ts";
import { I8_NO_SECRETS } from "./i8_no_secrets.ts";
import { I9_ERASURE } from "./i9_erasure.ts";
import { PAGES } from "./pages.ts";
import { QUEUE } from "./queue.ts";

/**
 * The guards that `deno task guards` removes, one at a time. The command fails if a guard's text is no
 * longer in its file, or if its test does not notice the loss.
 */
export const MUTATIONS: readonly Mutation[] = [
  ...I1_AUTHENTIC,
  ...I2_DURABLE,
  ...I3_ONCE,
  ...I4_CONVERGENT,
  ...I5_DELETION_IS_TERMINAL,
  ...I6_CHILDREN_FIRST,
  ...I7_ONE_MESSAGE,
  ...I8_NO_SECRETS,
  ...I9_ERASURE,
  ...I10_LEAST_PRIVILEGE,
  ...I11_APPLICATION_COLUMNS,
  ...I12_NOTHING_IS_LOST,
  ...HTTP,
  ...QUEUE,
  ...PAGES,
  ...GATE,
];
