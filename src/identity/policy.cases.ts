/**
 * Policies and what they decide. The documents have the shapes of AWS IoT's own examples (developer guide: "connect",
 * "publish/subscribe", "certificate", "retained message" policy examples); each answer is AWS's.
 */
import type { PolicyContext } from "./variables.ts";

export const BARE: PolicyContext = { clientId: "client1", sourceIp: "192.0.2.7", thing: null, certificate: null };

export const REGISTERED: PolicyContext = {
  clientId: "sensor-7",
  sourceIp: "192.0.2.7",
  thing: { thingName: "sensor-7", thingTypeName: "thermometer", attributes: { room: "r12", odd: "a+b" } },
  certificate: {
    certificateId: "ab".repeat(32),
    serialNumber: "01",
    subject: { CommonName: ["sensor-7"], Organization: ["Example Corp", "AnyCompany"] },
    issuer: { CommonName: ["Tidewire CA"] },
  },
};

export const aws = (resource: string): string => `arn:aws:iot:us-east-1:123456789012:${resource}`;

export type Question =
  | readonly ["connect", clientId: string, allowed: boolean]
  | readonly ["publish", topic: string, allowed: boolean]
  | readonly ["retain", topic: string, allowed: boolean]
  | readonly ["subscribe", filter: string, allowed: boolean]
  | readonly ["receive", topic: string, allowed: boolean];

export interface PolicyCase {
  readonly title: string;
  readonly statements: readonly unknown[];
  readonly context: PolicyContext;
  readonly questions: readonly Question[];
}

const allow = (action: unknown, resource: unknown, condition?: unknown): unknown => ({
  Effect: "Allow",
  Action: action,
  Resource: resource,
  ...(condition === undefined ? {} : { Condition: condition }),
});
const deny = (action: unknown, resource: unknown, condition?: unknown): unknown => ({
  ...(allow(action, resource, condition) as object),
  Effect: "Deny",
});
const attributes = (quantified: string, ...values: string[]): unknown => ({
  [quantified]: { "iot:ConnectAttributes": values },
});
const asking = (...connectAttributes: string[]): PolicyContext => ({ ...BARE, connectAttributes });

const THING = "${iot:Connection.Thing.ThingName}";
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
    statements: [connectAsThing, allow("iot:Publish", [aws(`topic/${THING}/*`), aws("topic/common/*")])],
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
    title: "an attribute with a special character is not put in: Allow does not apply, Deny covers every value",
    statements: [
      allow("iot:Publish", [aws("topic/${iot:Connection.Thing.Attributes[odd]}/x"), aws("topic/hall/*")]),
      deny("iot:Publish", aws("topic/hall/${iot:Connection.Thing.Attributes[odd]}/private")),
    ],
    context: REGISTERED,
    questions: [
      ["publish", "a+b/x", false],
      ["publish", "hall/1", true],
      ["publish", "hall/any/private", false],
    ],
  },
  {
    title: "thing type and attributes",
    statements: [
      allow("iot:Publish", [
        aws("topic/${iot:Connection.Thing.ThingTypeName}/${iot:Connection.Thing.Attributes[room]}"),
        aws("topic/${iot:Connection.Thing.Attributes[none]}"),
        aws("topic/${iot:Connection.Thing.Attributes[constructor]}"),
      ]),
    ],
    context: REGISTERED,
    questions: [
      ["publish", "thermometer/r12", true],
      ["publish", "thermometer/r13", false],
      ["publish", "", false],
    ],
  },
  {
    title: "certificate id, common name, second organization",
    statements: [
      allow("iot:Publish", [
        aws("topic/c/${iot:CertificateId}"),
        aws("topic/n/${iot:Certificate.Subject.CommonName}"),
        aws("topic/o/${iot:Certificate.Subject.Organization.1}"),
        aws("topic/o/${iot:Certificate.Subject.Organization.2}"),
        aws("topic/i/${iot:Certificate.Issuer.CommonName}"),
        aws("topic/d/${iot:Certificate.Subject.AlternativeName.DNSName}"),
      ]),
    ],
    context: REGISTERED,
    questions: [
      ["publish", `c/${"ab".repeat(32)}`, true],
      ["publish", "n/sensor-7", true],
      ["publish", "o/AnyCompany", true],
      ["publish", "o/Example Corp", false],
      ["publish", "i/Tidewire CA", true],
      ["publish", "d/", false],
    ],
  },
  {
    title: "a serial number is a decimal integer",
    statements: [allow("iot:Connect", aws("client/${iot:Certificate.SerialNumber}"))],
    context: { ...REGISTERED, certificate: { ...REGISTERED.certificate!, serialNumber: "921285CBB7A5E086" } },
    questions: [
      ["connect", "10525622389124227206", true],
      ["connect", "921285CBB7A5E086", false],
    ],
  },
  {
    title: "alternative names, by place and as a list; those of the issuer have no value here",
    statements: [
      allow("iot:Publish", [
        aws("topic/a/${iot:Certificate.Subject.AlternativeName.DNSName}"),
        aws("topic/a/${iot:Certificate.Subject.AlternativeName.DNSName.1}"),
        aws("topic/a/${iot:Certificate.Subject.AlternativeName.DNSName.5}"),
        aws("topic/a/${iot:Certificate.Subject.AlternativeName.DirectoryName}"),
        aws("topic/a/${iot:Certificate.Issuer.AlternativeName.DNSName}"),
      ]),
      allow("iot:Publish", aws("topic/all"), {
        "ForAllValues:StringLike": { "iot:Certificate.Subject.AlternativeName.DNSName.List": "*.example.com" },
      }),
      allow("iot:Publish", aws("topic/any"), {
        "ForAnyValue:StringEquals": { "iot:Certificate.Subject.AlternativeName.DNSName.List": "b.example.com" },
      }),
      allow("iot:Publish", aws("topic/key"), {
        "ForAnyValue:StringEquals": {
          "iot:Certificate.AvailableKeys": "iot:Certificate.Subject.AlternativeName.DNSName",
        },
      }),
    ],
    context: {
      ...REGISTERED,
      certificate: {
        ...REGISTERED.certificate!,
        subject: {
          "AlternativeName.DNSName": ["a.example.com", "b.example.com", "3.example.com", "4.example.com", "x", "six"],
          "AlternativeName.DirectoryName": ["cn=Light,ou=Home"],
        },
      },
    },
    questions: [
      ["publish", "a/a.example.com", true],
      ["publish", "a/b.example.com", true],
      ["publish", "a/six", false],
      ["publish", "a/cn=Light,ou=Home", true],
      ["publish", "all", false],
      ["publish", "any", true],
      ["publish", "key", true],
      ["publish", "a/", false],
    ],
  },
  {
    title: "characters that are special in a distinguished name come with a backslash",
    statements: [allow("iot:Publish", aws("topic/${iot:Certificate.Subject.Organization}/x"))],
    context: {
      ...REGISTERED,
      certificate: { ...REGISTERED.certificate!, subject: { Organization: ['Acme, "Inc"; a=b<c>\\'] } },
    },
    questions: [
      ["publish", 'Acme\\, \\"Inc\\"\\; a\\=b\\<c\\>\\\\/x', true],
      ["publish", 'Acme, "Inc"; a=b<c>\\/x', false],
    ],
  },
  {
    title: "the name of the server that the client asked for",
    statements: [
      allow("iot:Connect", "*", { StringEquals: { "iot:DomainName": "eu.example.com" } }),
      allow("iot:Publish", aws("topic/${iot:DomainName}/x")),
    ],
    context: { ...BARE, domainName: "eu.example.com" },
    questions: [
      ["connect", "c", true],
      ["publish", "eu.example.com/x", true],
    ],
  },
  {
    title: "no name asked for",
    statements: [allow("iot:Connect", "*", { StringEquals: { "iot:DomainName": "eu.example.com" } })],
    context: BARE,
    questions: [["connect", "c", false]],
  },
  {
    title: "every organization of the certificate must be on the list",
    statements: [
      allow("iot:Publish", aws("topic/all"), {
        "ForAllValues:StringEquals": { "iot:Certificate.Subject.Organization.List": ["Example Corp", "AnyCompany"] },
      }),
      allow("iot:Publish", aws("topic/one"), {
        "ForAllValues:StringEquals": { "iot:Certificate.Subject.Organization.List": ["Example Corp"] },
      }),
      allow("iot:Publish", aws("topic/any"), {
        "ForAnyValue:StringLike": { "iot:Certificate.Subject.Organization.List": ["Any*"] },
      }),
    ],
    context: REGISTERED,
    questions: [
      ["publish", "all", true],
      ["publish", "one", false],
      ["publish", "any", true],
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
    title: "PersistentConnect allowed, other features not",
    statements: [allow("iot:Connect", "*", attributes("ForAllValues:StringEquals", "PersistentConnect"))],
    context: asking("PersistentConnect"),
    questions: [["connect", "c", true]],
  },
  {
    title: "PersistentConnect allowed, LastWill asked for",
    statements: [allow("iot:Connect", "*", attributes("ForAllValues:StringEquals", "PersistentConnect"))],
    context: asking("PersistentConnect", "LastWill"),
    questions: [["connect", "c", false]],
  },
  {
    title: "PersistentConnect disallowed by ForAllValues:StringNotEquals",
    statements: [allow("iot:Connect", "*", attributes("ForAllValues:StringNotEquals", "PersistentConnect"))],
    context: asking("PersistentConnect"),
    questions: [["connect", "c", false]],
  },
  {
    title: "LastWill passes where only PersistentConnect is disallowed",
    statements: [allow("iot:Connect", "*", attributes("ForAllValues:StringNotEquals", "PersistentConnect"))],
    context: asking("LastWill"),
    questions: [["connect", "c", true]],
  },
  {
    title: "default features only: an empty list of attributes",
    statements: [allow("iot:Connect", "*", attributes("ForAllValues:StringEquals"))],
    context: asking(),
    questions: [["connect", "c", true]],
  },
  {
    title: "default features only, LastWill asked for",
    statements: [allow("iot:Connect", "*", attributes("ForAllValues:StringEquals"))],
    context: asking("LastWill"),
    questions: [["connect", "c", false]],
  },
  {
    title: "must use PersistentConnect",
    statements: [allow("iot:Connect", "*", attributes("ForAnyValue:StringEquals", "PersistentConnect"))],
    context: asking(),
    questions: [["connect", "c", false]],
  },
  {
    title: "Deny of PersistentConnect does not touch publishing",
    statements: [
      allow("iot:*", "*"),
      deny(["iot:Connect", "iot:Publish"], "*", attributes("ForAnyValue:StringEquals", "PersistentConnect")),
    ],
    context: asking("PersistentConnect"),
    questions: [
      ["connect", "c", false],
      ["publish", "t", true],
    ],
  },
  {
    title: "a certain last will topic",
    statements: [allow("iot:Connect", "*", { ArnEquals: { "iot:LastWillTopic": aws("topic/my/lastwill") } })],
    context: { ...BARE, connectAttributes: ["LastWill"], willTopic: "my/lastwill" },
    questions: [["connect", "c", true]],
  },
  {
    title: "another last will topic",
    statements: [allow("iot:Connect", "*", { ArnEquals: { "iot:LastWillTopic": aws("topic/my/lastwill") } })],
    context: { ...BARE, connectAttributes: ["LastWill"], willTopic: "your/lastwill" },
    questions: [["connect", "c", false]],
  },
  {
    title: "source addresses",
    statements: [
      allow("iot:Publish", aws("topic/near"), { IpAddress: { "aws:SourceIp": ["10.0.0.0/8", "192.0.2.0/24"] } }),
      allow("iot:Publish", aws("topic/far"), { IpAddress: { "aws:SourceIp": "10.0.0.0/8" } }),
      allow("iot:Publish", aws("topic/not"), { NotIpAddress: { "aws:SourceIp": "192.0.2.7" } }),
      allow("iot:Publish", aws("topic/at/${aws:SourceIp}")),
    ],
    context: BARE,
    questions: [
      ["publish", "near", true],
      ["publish", "far", false],
      ["publish", "not", false],
      ["publish", "at/192.0.2.7", true],
    ],
  },
  {
    title: "missing keys: positive fails, negated passes, IfExists passes, Null asks",
    statements: [
      allow("iot:Publish", aws("topic/eq"), { StringEquals: { "iot:Connection.Thing.ThingTypeName": "x" } }),
      allow("iot:Publish", aws("topic/ne"), { StringNotEquals: { "iot:Connection.Thing.ThingTypeName": "x" } }),
      allow("iot:Publish", aws("topic/if"), { StringEqualsIfExists: { "iot:Connection.Thing.ThingTypeName": "x" } }),
      allow("iot:Publish", aws("topic/null"), { Null: { "iot:Connection.Thing.ThingTypeName": "true" } }),
      allow("iot:Publish", aws("topic/there"), { Null: { "iot:Connection.Thing.ThingTypeName": "false" } }),
    ],
    context: BARE,
    questions: [
      ["publish", "eq", false],
      ["publish", "ne", true],
      ["publish", "if", true],
      ["publish", "null", true],
      ["publish", "there", false],
    ],
  },
  {
    title: "conditions on attributes; several must hold together",
    statements: [
      allow("iot:Publish", aws("topic/like"), { StringLike: { "iot:Connection.Thing.Attributes[room]": "r*" } }),
      allow("iot:Publish", aws("topic/both"), {
        StringLike: { "iot:Connection.Thing.Attributes[room]": "r*" },
        StringNotLike: { "iot:Connection.Thing.ThingTypeName": "thermo*" },
      }),
      allow("iot:Publish", aws("topic/case"), {
        StringEqualsIgnoreCase: { "iot:connection.thing.thingtypename": "THERMOMETER" },
      }),
      allow("iot:Publish", aws("topic/self"), { StringEquals: { "iot:ClientId": THING } }),
      allow("iot:Publish", aws("topic/star"), { StringEquals: { "iot:ClientId": "sensor*" } }),
    ],
    context: REGISTERED,
    questions: [
      ["publish", "like", true],
      ["publish", "both", false],
      ["publish", "case", true],
      ["publish", "self", true],
      ["publish", "star", false],
    ],
  },
  {
    title: "a variable without a value inside a condition: Allow does not apply, Deny does",
    statements: [
      allow("iot:Publish", aws("topic/a"), { StringNotEquals: { "iot:ClientId": THING } }),
      allow("iot:Publish", aws("topic/b")),
      deny("iot:Publish", aws("topic/b"), { StringEquals: { "iot:ClientId": THING } }),
    ],
    context: BARE,
    questions: [
      ["publish", "a", false],
      ["publish", "b", false],
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

/** As short as it can be. */
function documentOf(statements: number, resourcesEach: number): string {
  const Resource = Array.from({ length: resourcesEach }, () => "*");
  const one = { Effect: "Deny", Action: "*", Resource: resourcesEach === 1 ? "*" : Resource };
  return JSON.stringify({ Version: "2012-10-17", Statement: Array.from({ length: statements }, () => one) });
}

/** Documents that are refused, and a word that the refusal must contain. */
export const INVALID_DOCUMENTS: readonly (readonly [title: string, document: string, says: RegExp])[] = [
  ["not JSON", "{", /not JSON/],
  ["no object", "[]", /not a JSON object/],
  ["too long", JSON.stringify({ Version: "x".repeat(70_000) }), /longer than 65536 bytes/],
  ["a megabyte", JSON.stringify({ Version: "x".repeat(1_048_576) }), /longer than 65536 bytes/],
  ["10,000 statements", documentOf(10_000, 1), /longer than 65536 bytes/],
  ["1,100 statements", documentOf(1_100, 1), /has 1100 statements, and 1000 are allowed/],
  ["3,000 resources", documentOf(10, 300), /names 3000 resources, and 2000 are allowed/],
  ["too deep", "[".repeat(40) + "]".repeat(40), /nested/],
  ["no version", '{"Statement":[]}', /Version must be "2012-10-17"/],
  ["old version", '{"Version":"2008-10-17","Statement":[]}', /2012-10-17/],
  ["unknown key", '{"Version":"2012-10-17","Statment":[]}', /the document has the unknown key 'Statment'/],
  ["no statement", '{"Version":"2012-10-17"}', /Statement is missing/],
  ["empty statement", '{"Version":"2012-10-17","Statement":[]}', /Statement is empty/],
  ["statement no object", '{"Version":"2012-10-17","Statement":["x"]}', /Statement\[0\] must be an object/],
  ...(
    [
      ["unknown key", { Effekt: "Allow" }, /Statement\[1\] has the unknown key 'Effekt'/],
      ["wrong effect", { Effect: "allow" }, /Statement\[1\]\.Effect/],
      ["NotAction", { NotAction: "iot:Publish" }, /NotAction.*Deny/],
      ["Principal", { Principal: "*" }, /Principal/],
      ["Sid no text", { Sid: 3 }, /Statement\[1\]\.Sid/],
      ["no action", { Action: undefined }, /Statement\[1\]\.Action is missing/],
      ["empty action", { Action: [] }, /Statement\[1\]\.Action must be/],
      ["unknown action", { Action: "iot:Publsh" }, /'iot:Publsh' is not an action/],
      ["action without service", { Action: "Publish" }, /iot:Publish/],
      ["resource no text", { Resource: [1] }, /Statement\[1\]\.Resource must be/],
      ["bare topic", { Resource: "telemetry/x" }, /Statement\[1\]\.Resource: 'telemetry\/x'/],
      ["other service", { Resource: "arn:aws:s3:::bucket" }, /no resource of AWS IoT/],
      ["short ARN", { Resource: "arn:aws:iot:*:topic/x" }, /REGION:ACCOUNT/],
      ["unfilled placeholder", { Resource: "arn:aws:iot:${AWS::Region}:1:topic/x" }, /placeholder/],
      ["unknown variable", { Resource: aws("topic/${iot:Thing.ThingName}") }, /did you mean iot:Connection\.Thing/],
      ["open variable", { Resource: aws("topic/${iot:ClientId") }, /closing brace/],
      ["forbidden character", { Resource: aws("topic/\uffff") }, /U\+FFFF/],
      ["condition no object", { Condition: [] }, /Statement\[1\]\.Condition must be an object/],
      ["unknown operator", { Condition: { DateGreaterThan: { "aws:SourceIp": "x" } } }, /DateGreaterThan/],
      ["inherited name as operator", { Condition: { constructor: {} } }, /'constructor'/],
      ["quantified Null", { Condition: { "ForAllValues:Null": { "iot:ClientId": "true" } } }, /ForAllValues:Null/],
      ["unknown condition key", { Condition: { Bool: { "aws:Foo": "true" } } }, /Condition\.Bool\.aws:Foo is not/],
      ["Bool of a word", { Condition: { Bool: { "iot:Connection.Thing.IsAttached": "yes" } } }, /true or false/],
      ["no address", { Condition: { IpAddress: { "aws:SourceIp": "10.0.0.0/33" } } }, /CIDR/],
      [
        "variable before an ARN's resource",
        { Condition: { ArnLike: { "iot:LastWillTopic": "arn:aws:iot:${iot:ClientId}:1:topic/x" } } },
        /variable before its resource/,
      ],
      ["no ARN", { Condition: { ArnLike: { "iot:LastWillTopic": "topic" } } }, /not an ARN/],
      ["value of wrong kind", { Condition: { StringEquals: { "iot:ClientId": { a: "b" } } } }, /string or a list/],
    ] as const
  ).map(
    ([title, change, says]) =>
      [
        title,
        JSON.stringify({
          Version: "2012-10-17",
          Statement: [allow("iot:Publish", "*"), { ...(allow("iot:Publish", "*") as object), ...change }],
        }),
        says,
      ] as const,
  ),
];
