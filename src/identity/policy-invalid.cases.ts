/** Documents that are no policies. */
import { allow, aws } from "./policy.fixture.ts";

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
