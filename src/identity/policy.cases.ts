/**
 * Policies and what they decide. The documents have the shapes of AWS IoT's own examples (developer guide: "connect",
 * "publish/subscribe", "certificate", "retained message" policy examples); each answer is AWS's.
 */
import { BARE, REGISTERED, THING, allow, aws, deny } from "./policy.fixture.ts";
import type { PolicyCase } from "./policy.fixture.ts";

const connectAsThing = allow(["iot:Connect"], [aws(`client/${THING}`)]);

export const POLICY_CASES: readonly PolicyCase[] = [
  {
    title: "Basic Ingest for the rules' own topics: what speaks for another thing (ours, not AWS's) is not in it",
    statements: [allow("iot:Publish", aws("topic/$aws/rules/*"))],
    context: REGISTERED,
    questions: [
      ["publish", "$aws/rules/r", true],
      ["publish", "$aws/rules/r/anything/else", true],
      ["publish", "$aws/rules/r/telemetry/sensor-7/x", true],
      ["publish", "$aws/rules/r/telemetry/sensor-7", true],
      ["publish", "$aws/rules/r/telemetry/sensor-8/x", false],
      ["publish", "$aws/rules/r/telemetry/sensor-8", false],
      ["publish", "$aws/rules/r/telemetry/sensor-77/x", false],
      ["publish", "$aws/rules/r/telemetry//x", false],
      ["publish", "telemetry/sensor-7/x", false],
    ],
  },
  {
    title: "a gateway speaks by Basic Ingest for those for whom it may speak without it; a Deny there holds here",
    statements: [
      allow("iot:Publish", [aws("topic/$aws/rules/r/*"), aws("topic/telemetry/sensor-*/*")]),
      deny("iot:Publish", aws("topic/telemetry/sensor-9/*")),
    ],
    context: REGISTERED,
    questions: [
      ["publish", "$aws/rules/r/telemetry/sensor-8/x", true],
      ["publish", "$aws/rules/r/telemetry/sensor-9/x", false],
      ["publish", "$aws/rules/r/telemetry/pump/x", false],
      ["publish", "$aws/rules/other/telemetry/sensor-8/x", false],
    ],
  },
  {
    title: "who stands for no thing speaks by Basic Ingest for its client id",
    statements: [allow("iot:Publish", aws("topic/$aws/rules/*"))],
    context: BARE,
    questions: [
      ["publish", "$aws/rules/r/telemetry/client1/x", true],
      ["publish", "$aws/rules/r/telemetry/client2/x", false],
    ],
  },
  {
    title: "$SYS (ours, not AWS's): no wildcard allows it, only a resource that names it; a wildcard denies it",
    statements: [allow("*", "*"), allow(["iot:Subscribe", "iot:Receive"], [aws("topic/*"), aws("topicfilter/*")])],
    context: BARE,
    questions: [
      ["subscribe", "$SYS/#", false],
      ["receive", "$SYS/broker/uptime", false],
      ["subscribe", "$aws/things/x/#", true],
      ["connect", "$SYS/x", true],
    ],
  },
  {
    title: "$SYS for an administrator",
    statements: [
      allow(["iot:Subscribe", "iot:Receive"], [aws("topicfilter/$SYS/*"), aws("topic/$SYS/*")]),
      deny("iot:Receive", aws("topic/*/version")),
    ],
    context: BARE,
    questions: [
      ["subscribe", "$SYS/#", true],
      ["receive", "$SYS/broker/uptime", true],
      ["receive", "$SYS/broker/version", false],
      ["subscribe", "a", false],
    ],
  },
  {
    title: "a named client may connect, others may not",
    statements: [allow(["iot:Connect"], [aws("client/client1")])],
    context: BARE,
    questions: [
      ["connect", "client1", true],
      ["connect", "client10", false],
      ["connect", "", false],
      ["publish", "client1", false],
    ],
  },
  {
    title: "denied client ids, and things that connect under their name",
    statements: [deny(["iot:Connect"], [aws("client/client1"), aws("client/client2")]), connectAsThing],
    context: REGISTERED,
    questions: [
      ["connect", "client1", false],
      ["connect", "sensor-7", true],
      ["connect", "sensor-8", false],
    ],
  },
  {
    title: "a connection without a thing gets nothing from a thing variable",
    statements: [allow("iot:Publish", [aws(`topic/${THING}/*`), aws("topic/common/*")])],
    context: BARE,
    questions: [
      ["connect", "client1", false],
      ["connect", "", false],
      ["publish", "/x", false],
      ["publish", "common/x", true],
    ],
  },
  {
    title: "IsAttached lets in only things attached to the certificate",
    statements: [allow("iot:Connect", "*", { Bool: { "iot:Connection.Thing.IsAttached": ["true"] } })],
    context: REGISTERED,
    questions: [["connect", "sensor-7", true]],
  },
  {
    title: "IsAttached keeps out what is not attached",
    statements: [allow("iot:Connect", "*", { Bool: { "iot:Connection.Thing.IsAttached": "true" } })],
    context: BARE,
    questions: [["connect", "client1", false]],
  },
  {
    title: "publish under the own name but for one topic",
    statements: [allow("iot:Publish", aws(`topic/${THING}/*`)), deny("iot:Publish", aws(`topic/${THING}/bar`))],
    context: REGISTERED,
    questions: [
      ["publish", "sensor-7/foo", true],
      ["publish", "sensor-7/foo/deep/er", true],
      ["publish", "sensor-7/bar", false],
      ["publish", "sensor-7/bar/x", true],
      ["publish", "sensor-7", false],
      ["publish", "sensor-70/foo", false],
      ["receive", "sensor-7/foo", false],
    ],
  },
  {
    title: "+ and # are plain characters in a policy",
    statements: [allow("iot:Subscribe", aws("topicfilter/some/+/topic"))],
    context: BARE,
    questions: [
      ["subscribe", "some/+/topic", true],
      ["subscribe", "some/a/topic", false],
      ["subscribe", "some/#", false],
    ],
  },
  {
    title: "* spans levels and ? is one character",
    statements: [
      allow("iot:Subscribe", aws("topicfilter/my/topic*")),
      allow("iot:Receive", aws("topic/a?c/*/end")),
      allow("iot:Publish", aws("topic/*")),
    ],
    context: BARE,
    questions: [
      ["subscribe", "my/topic", true],
      ["subscribe", "my/topic/and/#", true],
      ["subscribe", "my/topi", false],
      ["receive", "abc/x/y/end", true],
      ["receive", "a😀c/x/end", true],
      ["receive", "ac/x/end", false],
      ["receive", "abc/end", false],
      ["publish", "$aws/things/x/shadow/update", true],
    ],
  },
  {
    title: "a room prefix to subscribe and to receive",
    statements: [
      allow("iot:Subscribe", aws("topicfilter/${iot:ClientId}/room*")),
      allow("iot:Receive", aws("topic/${iot:ClientId}/room*")),
    ],
    context: BARE,
    questions: [
      ["subscribe", "client1/room1", true],
      ["subscribe", "client1/room+", true],
      ["subscribe", "client2/room1", false],
      ["receive", "client1/room1/x", true],
      ["receive", "client1/hall", false],
    ],
  },
  {
    title: "a client id of + does not widen the filter it is put into",
    statements: [allow("iot:Subscribe", aws("topicfilter/my/${iot:ClientId}/topic")), allow("iot:Connect", "*")],
    context: { ...BARE, clientId: "+" },
    questions: [
      ["connect", "+", true],
      ["subscribe", "my/+/topic", false],
      ["subscribe", "my/a/topic", false],
    ],
  },
  {
    title: "retained messages need iot:RetainPublish as well as iot:Publish",
    statements: [
      allow(["iot:Publish", "iot:RetainPublish"], aws("topic/device/config")),
      allow("iot:Publish", aws("topic/device/data")),
      allow("iot:RetainPublish", aws("topic/device/odd")),
    ],
    context: BARE,
    questions: [
      ["publish", "device/config", true],
      ["retain", "device/config", true],
      ["publish", "device/data", true],
      ["retain", "device/data", false],
      ["publish", "device/odd", false],
      ["retain", "device/odd", false],
    ],
  },
  {
    title: "iot:*, * and iot:P*; names of actions without regard to case",
    statements: [
      allow("iot:P*", aws("topic/p")),
      allow("iot:*", aws("topic/all")),
      allow("*", aws("topicfilter/all")),
      allow("IOT:publish", aws("topic/case")),
      allow("greengrass:Discover", "*"),
      allow("iot:GetThingShadow", "*"),
    ],
    context: BARE,
    questions: [
      ["publish", "p", true],
      ["retain", "p", false],
      ["retain", "all", true],
      ["receive", "all", true],
      ["subscribe", "all", true],
      ["publish", "case", true],
      ["publish", "other", false],
      ["connect", "client1", false],
    ],
  },
  {
    title: "any region, account and partition; a whole ARN behind a star",
    statements: [
      allow("iot:Publish", ["arn:aws-cn:iot:cn-north-1:1:topic/a", "arn:aws:iot:*:*:topic/b", aws("top*/c")]),
      allow("iot:Receive", "arn:aws:iot:*"),
      allow("iot:Subscribe", "arn:aws:iot:eu-west-1:1:*"),
    ],
    context: BARE,
    questions: [
      ["publish", "a", true],
      ["publish", "b", true],
      ["publish", "c", true],
      ["publish", "ic/c", true],
      ["publish", "d", false],
      ["receive", "any/thing", true],
      ["subscribe", "any/#", true],
    ],
  },
  {
    title: "shared subscriptions: either form allows, a Deny of either form denies",
    statements: [
      allow("iot:Subscribe", [aws("topicfilter/jobs/*"), aws("topicfilter/$share/g/other")]),
      deny("iot:Subscribe", [aws("topicfilter/jobs/secret"), aws("topicfilter/$share/bad/*")]),
    ],
    context: BARE,
    questions: [
      ["subscribe", "$share/g/jobs/a", true],
      ["subscribe", "$share/g/other", true],
      ["subscribe", "other", false],
      ["subscribe", "$share/g/jobs/secret", false],
      ["subscribe", "$share/bad/jobs/a", false],
      ["subscribe", "$share/g", false],
    ],
  },
  {
    title: "escaped characters mean themselves",
    statements: [allow("iot:Publish", [aws("topic/${$}aws/${*}/${?}")])],
    context: BARE,
    questions: [
      ["publish", "$aws/*/?", true],
      ["publish", "$aws/x/y", false],
    ],
  },
];
