/** Seeds of `sim/broker-story.ts` that failed once. `broker-story.test.ts` plays each of them, for ever. */
export const FAILED_SEEDS: readonly { readonly seed: number; readonly what: string }[] = [
  { seed: 91, what: "a will was delivered to its own client, whose subscription said No Local" },
  { seed: 112, what: "the same" },
  { seed: 746, what: "the state file failed, and the repeated UNSUBSCRIBE was answered before it held the change" },
  { seed: 895, what: "the same" },
  { seed: 1289, what: "a crash brought back a session that a 3.1.1 client with Clean Session had been told was gone" },
  { seed: 8, what: "a queue whose oldest entries were finished was not saved, and a second crash sent QoS 2 again" },
  { seed: 276, what: "the same" },
  { seed: 599, what: "the same" },
  {
    seed: 192,
    what: "the simulated state file reordered calls: what a session owed its shared group was deleted before it was read",
  },
  { seed: 794, what: "a note was taken for that of a group that its client had joined later, and QoS 2 came twice" },
  { seed: 920, what: "the same" },
  {
    seed: 2850,
    what: "that an entry was finished before its turn was forgotten by the second restart, and QoS 2 came twice",
  },
  { seed: 2627, what: "what a session that ended owed its shared group was lost to one read of the log that failed" },
  {
    seed: 4562,
    what: "notes did not say by which group a message had come, and QoS 2 came twice to one of two groups with a common member",
  },
  {
    seed: 12729,
    what: "a message that had been refused, and was sent again as its refusal was lost, was held to its order",
  },
  { seed: 20450, what: "SUBACK left on a connection whose client had begun another session, which is no promise" },
  {
    seed: 20792,
    what: "a full queue made a start drop a QoS 2 message whose note came later, and then invent it anew",
  },
  { seed: 22959, what: "a start gave a message to a member that had joined its group, and whose SUBACK had not left" },
  {
    seed: 31990,
    what: "exchanges were saved before the log took their note, which then named the same message a second time",
  },
  {
    seed: 43245,
    what: "who left a group, and then ended its session, took along what waited for it in the state file",
  },
  { seed: 5166, what: "the same, and the message came once more as a retained one" },
];
