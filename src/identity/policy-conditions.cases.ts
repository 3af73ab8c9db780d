/**
 * What policies ask of the thing, the certificate and the connection: variables and conditions, in the shapes of AWS IoT's own
 * examples; each answer is AWS's.
 */
import { BARE, REGISTERED, THING, allow, aws, deny } from "./policy.fixture.ts";
import type { PolicyCase } from "./policy.fixture.ts";
import type { PolicyContext } from "./variables.ts";

const attributes = (quantified: string, ...values: string[]): unknown => ({
  [quantified]: { "iot:ConnectAttributes": values },
});
const asking = (...connectAttributes: string[]): PolicyContext => ({ ...BARE, connectAttributes });

export const CONDITION_CASES: readonly PolicyCase[] = [
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
];
