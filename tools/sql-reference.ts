/** The reference page of the rules' SQL: its shape by hand, its functions from their files. */
import { FUNCTIONS } from "../src/sql/mod.ts";
import type { SqlFunction } from "../src/sql/mod.ts";

const GROUPS: Readonly<Record<SqlFunction["group"], string>> = {
  math: "Numbers",
  bits: "Bits",
  string: "Text",
  hash: "Hashes",
  encoding: "Encoding",
  type: "Types, Null and Undefined",
  time: "Time",
  message: "The message",
  array: "Arrays",
  external: "From outside",
};

const EXTERNAL_NOTE =
  "Asked before the statement is evaluated, and only if WHERE can still be true. What fails is Undefined. They cannot stand inside of a nested SELECT. Who answers them: [rules that ask](../rules-that-ask.md).\n\n";

const SHAPE = `# The rules' SQL

AWS IoT SQL, version 2016-03-23 unless the rule's \`awsIotSqlVersion\` says \`2015-10-08\` or \`beta\`. The examples of the functions are run by the tests.

\`\`\`
[SET @name = value [, @name = value …]]
SELECT * | value [AS name[.name …]] [, …] | VALUE value
FROM 'topic/filter'
[WHERE condition]
\`\`\`

| | |
|---|---|
| \`SET @t = (f - 32) * 5 / 9\` | Computed once per message; seen by WHERE, SELECT, nested SELECTs, later variables and the \`\${@t}\` of actions. Set once. |
| \`a.b\`, \`get(get(x, 0), "my-key")\` | Keys of the payload. What is missing is Undefined, and so is nearly everything computed from it. |
| \`'text'\`, \`"text"\` | Text; the quote inside is written twice. |
| \`{'k': a}\`, \`[a, b]\` | Objects and arrays. Not in version 2015-10-08. |
| \`(SELECT VALUE v FROM e WHERE n = 't')\` | An array of what it selects from each item; of an object, what it selects from that. Not in version 2015-10-08. |
| \`CASE v WHEN a THEN r ELSE s END\` | Undefined where \`v\` is, or where nothing fits and there is no ELSE. |
| \`cast(v AS type)\` | String (Nvarchar, Text, Ntext, Varchar), Int (Integer, rounds down), Decimal (Double), Boolean (Bool). |
| \`AND OR NOT\` | Take booleans, or the strings "true" and "false" in any case; anything else makes the whole Undefined. |
| \`= <>\` | Compare without converting: \`'5' = 5\` is false. Undefined on either side makes it Undefined. |
| \`< <= > >=\` | Convert strings that look like numbers. |
| \`+ - * / %\` | Convert such strings, too; \`+\` joins where either side is a string. Int / Int is an Int; a literal with a point (\`* 100.0 /\`) keeps the fraction. |

There is no LIKE, IN, BETWEEN, IS, JOIN, ORDER BY, LIMIT and no comment; what to write instead is said when a rule is saved.

## Numbers of many digits

Int and Decimal have up to 34 digits, from 1E-999 to 9.9E999. Numbers that a double holds are doubles; sums, differences, products, remainders and comparisons come out as in decimal
(\`0.1 + 0.2\` is 0.3). The quotient of two doubles is a double. Functions of trigonometry, exponents and logarithms compute in double precision. In version 2016-03-23, 10.0 is the Int 10; in
2015-10-08 it stays 10.0. Where a result goes on as JSON, all digits do; telemetry stores doubles.

## Regular expressions

Matching takes time in proportion to text and pattern, whatever the pattern. Java's syntax without what that excludes: no references to groups (\`\\1\`), no looking ahead or behind, no possessive
quantifiers, no atomic groups. There are: \`. [a-z] [^a-z] [[:alpha:]] \\d \\D \\w \\W \\s \\S \\h \\p{L} \\p{Alpha} \\p{IsGreek} ^ $ \\A \\z \\Z \\b \\B (…) (?:…) (?<name>…) (?i) (?s) (?m) | * + ? {n} {n,} {n,m}\` and
\`*? +? ??\`, \`\\t \\n \\r \\f \\x41 \\u0041 \\Q…\\E\`.
`;

export function sqlReference(): string {
  const functions = [...FUNCTIONS.values()].toSorted((a, b) => a.name.localeCompare(b.name, "en"));
  const sections = Object.entries(GROUPS).map(([group, title]) => {
    const entries = functions.filter((each) => each.group === group).map(entry);
    return `## ${title}\n\n${group === "external" ? EXTERNAL_NOTE : ""}${entries.join("\n")}`;
  });
  return `${SHAPE}\n# Functions\n\nA bad argument gives Undefined, as in AWS IoT.\n\n${sections.join("\n")}`;
}

function entry({ signature, summary, examples, since }: SqlFunction): string {
  const rows = examples.map(([call, result]) => `${call}  →  ${result}`);
  const version = since === undefined ? "" : " Not in version 2015-10-08.";
  return `### ${signature}\n${summary}${version}\n\n\`\`\`\n${rows.join("\n")}\n\`\`\`\n`;
}
