import { assertEquals } from "@std/assert";
import { formatStatus } from "../../cli/queue_status.ts";
import type { QueueStatus } from "../../operations/queue.ts";

const STATUS: QueueStatus = {
  waiting: 9,
  in_flight: 2,
  retrying: 3,
  failures: [
    { handler: "forward", error_class: "http_503", changes: 2 },
    { handler: "welcome_email", error_class: "smtp_451", changes: 1 },
  ],
  oldest_seconds: 31,
  dead: 0,
};

Deno.test("formatStatus() has a line of figures, and a line for each way in which changes fail", () => {
  assertEquals(
    formatStatus(STATUS, 200),
    `███░░░░░░░░░░░░░░░░░░░░░ waiting     9  in flight   2  retrying   3  oldest  31 s  dead 0
  forward: http_503 × 2
  welcome_email: smtp_451 × 1`,
  );
});

Deno.test("formatStatus() makes the bar as short as the terminal needs, but not shorter than 4", () => {
  // What an 80-column terminal has left beside the time.
  const widths = [200, 80, 71, 20].map((columns) => {
    const [line = ""] = formatStatus({ ...STATUS, waiting: 12345, dead: 17 }, columns).split("\n");
    return [line.length, line.indexOf(" ")];
  });

  assertEquals(widths, [[90, 24], [80, 14], [71, 5], [70, 4]]);
});
