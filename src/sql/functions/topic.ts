import { toInt } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const topicFunction: SqlFunction = {
  name: "topic",
  group: "message",
  signature: "topic([level])",
  summary: "The message's topic, or one level of it, counted from 1.",
  examples: [
    ["topic()", '"telemetry/pi-1/system"'],
    ["topic(2)", '"pi-1"'],
    ["topic(9)", "Undefined"],
    ["topic(0)", "Undefined"],
  ],
  argsMin: 0,
  argsMax: 1,
  pure: false,
  call(args, input) {
    if (args.length === 0) return input.topic;
    const level = toInt(args[0]);
    if (level === undefined || level < 1) return undefined;
    let from = 0;
    for (let n = 1; n < level; n++) {
      from = input.topic.indexOf("/", from) + 1;
      if (from === 0) return undefined;
    }
    const end = input.topic.indexOf("/", from);
    return end < 0 ? input.topic.slice(from) : input.topic.slice(from, end);
  },
};
