/** Expressions and what they are worth. One row is one gotcha; `undefined` is the SQL's Undefined. */
import type { JsonObject, JsonValue } from "../base/mod.ts";

/** The message behind every row. */
export const TOPIC = "telemetry/pi-1/system";
export const CLIENT = "pi-1";
export const RECEIVED_AT = 1_767_225_600_000;
export const PAYLOAD: JsonObject = {
  n: 5,
  d: 2.5,
  neg: -3,
  zero: 0,
  t: true,
  f: false,
  s: "hello",
  num: "12.5",
  int: "7",
  exp: "5E-2",
  spaced: " 5",
  plus: "+5",
  yes: "TRUE",
  no: "False",
  empty: "",
  nil: null,
  list: [1, "two", null, { three: 3 }],
  color: { red: 255, deep: { er: "x" } },
  "my-key": "hyphen",
  value: 42,
  end: "reserved",
  select: 1,
  toString: "own",
};

export type Row = readonly [expression: string, value: JsonValue | undefined];

export const LITERALS: readonly Row[] = [
  ["1", 1],
  ["1.5", 1.5],
  ["1e3", 1000],
  ["2.5E-1", 0.25],
  ["-4", -4],
  ["- 4", -4],
  ["'text'", "text"],
  ['"text"', "text"],
  ["'it''s'", "it's"],
  ['"say ""hi"""', 'say "hi"'],
  ["''", ""],
  ["TRUE", true],
  ["false", false],
  ["NULL", null],
  ["[1, 'a', n]", [1, "a", 5]],
  ["[]", []],
  ["[1, missing, 2]", [1, null, 2]],
  ["{'a': n, 'b': {'c': s}}", { a: 5, b: { c: "hello" } }],
  ["{'a': missing}", {}],
  ["{}", {}],
];

export const PATHS: readonly Row[] = [
  ["n", 5],
  ["color.red", 255],
  ["color.deep.er", "x"],
  ["missing", undefined],
  ["missing.deeper", undefined],
  ["n.deeper", undefined],
  ["nil.deeper", undefined],
  ["list.length", undefined],
  ["s.length", undefined],
  ["nil", null],
  ["N", undefined], // keys are case-sensitive
  ["value", 42],
  ["toString", "own"],
  ["constructor", undefined],
  ["__proto__", undefined],
  ["color.hasOwnProperty", undefined],
  ["get(list, 3).three", 3],
  ["get(list, 0).three", undefined],
  ["({'a': {'b': 1}}).a.b", 1],
  ["get(*, 'my-key')", "hyphen"],
  ["get(*, 'select')", 1],
  ["get(*, 'end')", "reserved"],
  ["my-key", undefined], // reads as my minus key
];

export const COMPARISONS: readonly Row[] = [
  ["n = 5", true],
  ["n = 5.0", true],
  ["n <> 5", false],
  ["n > 4", true],
  ["n >= 5", true],
  ["n < 5", false],
  ["n <= 4", false],
  ["d > n", false],
  ["num > 12", true], // numeric strings convert …
  ["num > int", true],
  ["12 < num", true],
  ["exp < 1", true],
  ["int = 7", false], // … but not for equality
  ["int <> 7", true],
  ["int = '7'", true],
  ["'07' = '7'", false],
  ["'10' > '9'", true], // as numbers, not as text
  ["'b' > 'a'", undefined],
  ["s > 1", undefined],
  ["spaced > 1", undefined],
  ["plus > 1", undefined],
  ["empty > 1", undefined],
  ["t > f", undefined],
  ["t > 0", undefined],
  ["nil > 1", undefined],
  ["nil < 1", undefined],
  ["list > 1", undefined],
  ["missing > 1", undefined],
  ["missing = 1", undefined],
  ["missing <> 1", undefined],
  ["1 = missing", undefined],
  ["missing = missing", undefined],
  ["nil = NULL", true],
  ["nil <> NULL", false],
  ["nil = 0", false],
  ["nil <> 0", true],
  ["t = true", true],
  ["t = 'true'", false],
  ["t = 1", false],
  ["s = 'hello'", true],
  ["s = 'Hello'", false],
  ["[1, 'two'] = [1, 'two']", true],
  ["[1, 2] = [2, 1]", false],
  ["[1] = [1, 2]", false],
  ["[] = {}", false],
  ["{'a': 1, 'b': 2} = {'b': 2, 'a': 1}", true],
  ["{'a': 1} = {'a': 2}", false],
  ["{'a': 1} = {'b': 1}", false],
  ["color = {'deep': {'er': 'x'}, 'red': 255}", true],
  ["color <> {'red': 255}", true],
  ["s = n", false],
  ["list = 'x'", false],
];

export const LOGIC: readonly Row[] = [
  ["t AND t", true],
  ["t AND f", false],
  ["t OR f", true],
  ["f OR f", false],
  ["NOT t", false],
  ["NOT f", true],
  ["yes AND t", true],
  ["no OR t", true],
  ["yes OR no", true],
  ["NOT yes", false],
  ["NOT no", true],
  ["s AND t", undefined],
  ["n AND t", undefined],
  ["1 OR t", undefined],
  ["nil OR t", undefined],
  ["missing OR t", undefined], // no short cut: AWS IoT wants both sides to be booleans
  ["t OR missing", undefined],
  ["f AND missing", undefined],
  ["NOT missing", undefined],
  ["NOT n", undefined],
  ["NOT nil", undefined],
  ["isUndefined(missing) OR t", true],
  ["NOT n > 6", true], // NOT binds weaker than a comparison
  ["NOT f AND f", false], // and stronger than AND
  ["t OR f AND f", true], // AND binds stronger than OR
  ["(t OR f) AND f", false],
  ["t and not f", true],
];

export const ARITHMETIC: readonly Row[] = [
  ["n + 1", 6],
  ["n - d", 2.5],
  ["n * d", 12.5],
  ["1 + 2 * 3", 7],
  ["(1 + 2) * 3", 9],
  ["10 - 3 - 2", 5],
  ["100 / 10 / 5", 2],
  ["2 * -3", -6],
  ["-n", -5],
  ["-(-n)", 5],
  ["-num", -12.5],
  ["-s", undefined],
  ["7 / 2", 3], // Int / Int is an Int
  ["-7 / 2", -3], // towards zero
  ["7 / 2.0", 3.5], // a literal with a point makes it exact
  ["7 * 1.0 / 2", 3.5],
  ["d / 2", 1.25],
  ["(n - 32) * 5 / 9", -15],
  ["1 / 0", undefined],
  ["0 / 0", undefined],
  ["7 % 3", 1],
  ["-7 % 3", -1],
  ["7 % 0", undefined],
  ["7.5 % 2", 1.5],
  ["num - 0.5", 12],
  ["num * 2", 25],
  ["int - '2'", 5],
  ["s - 1", undefined],
  ["t + 1", undefined],
  ["t * 2", undefined],
  ["nil + 1", undefined],
  ["nil * 2", undefined],
  ["missing + 1", undefined],
  ["list + 1", undefined],
  ["'a' + 'b'", "ab"],
  ["s + n", "hello5"],
  ["n + s", "5hello"],
  ["int + 1", "71"], // + joins where either side is a string, even a numeric one
  ["'a' + t", "atrue"],
  ["'a' + d", "a2.5"],
  ["'a' + [1, 'b']", 'a[1,"b"]'],
  ["'a' + {'k': 1}", 'a{"k":1}'],
  ["'a' + nil", undefined],
  ["'a' + missing", undefined],
  ["1e308 * 10", undefined],
  ["zero * -1", 0],
];

export const CASTS: readonly Row[] = [
  ["cast('12' AS Int)", 12],
  ["cast(2.9 AS Int)", 2],
  ["cast(-2.1 AS Integer)", -3], // rounds down
  ["cast('2.9' AS int)", 2],
  ["cast(true AS Int)", 1],
  ["cast(false AS Decimal)", 0],
  ["cast('2.5' AS Double)", 2.5],
  ["cast('x' AS Decimal)", undefined],
  ["cast(nil AS Decimal)", undefined],
  ["cast(0 AS Boolean)", false],
  ["cast(-1 AS Bool)", true],
  ["cast('TRUE' AS Boolean)", true],
  ["cast('1' AS Boolean)", undefined],
  ["cast(5 AS String)", "5"],
  ["cast(true AS Nvarchar)", "true"],
  ["cast([1] AS Text)", "[1]"],
  ["cast(nil AS Varchar)", undefined],
  ["cast(missing AS String)", undefined],
];

export const CASES: readonly Row[] = [
  ["CASE s WHEN 'hello' THEN 'a' WHEN 'x' THEN 'b' ELSE 'c' END", "a"],
  ["CASE s WHEN 'x' THEN 'b' ELSE 'c' END", "c"],
  ["CASE s WHEN 'x' THEN 'b' END", undefined],
  ["CASE missing WHEN 'x' THEN 'b' ELSE 'c' END", undefined],
  ["CASE n WHEN missing THEN 1 WHEN 5 THEN 2 END", 2],
  ["CASE n > 3 WHEN true THEN 'high' WHEN false THEN 'low' END", "high"],
  ["CASE nil WHEN NULL THEN 'null' END", "null"],
  ["CASE n WHEN 5 THEN 1 WHEN 5 THEN 2 END", 1],
];

/** Digits that a double has not (results as JSON text). The payload has the same numbers under these names. */
export const DIGITS_PAYLOAD =
  '{"big":9007199254740993,"long":12345678901234567890.123456789,"tiny":0.1,"sum":0.3,"half":10.5,"ten":10.0,"huge":1e400,"beyond":1e1000,"text":"9007199254740993"}';

export const DIGITS: readonly (readonly [expression: string, json: string | undefined])[] = [
  ["big", "9007199254740993"],
  ["big + 1", "9007199254740994"],
  ["big - big", "0"],
  ["big = 9007199254740993", "true"],
  ["big = 9007199254740992", "false"], // as doubles they would be equal
  ["big > 9007199254740992", "true"],
  ["text > 9007199254740992", "true"],
  ["text - 1", "9007199254740992"],
  ["text + 1", '"90071992547409931"'],
  ["'id ' + big", '"id 9007199254740993"'],
  ["long", "12345678901234567890.123456789"],
  ["-long", "-12345678901234567890.123456789"],
  ["long * 2", "24691357802469135780.246913578"],
  ["9007199254740991 + 9007199254740991", "18014398509481982"],
  ["3037000501 * 3037000501", "9223372043074251001"],
  ["12345678901234567890 * 12345678901234567890", "1.524157875323883675019051998750191E+38"], // rounded to 34 digits
  ["12345678901234567890 / 7", "1763668414462081127"], // Int / Int
  ["12345678901234567890 / 7.0", "1763668414462081127.142857142857143"],
  ["12345678901234567890 % 1000", "890"],
  ["tiny + 0.2", "0.3"], // not 0.30000000000000004
  ["tiny + 0.2 = sum", "true"],
  ["sum - tiny", "0.2"],
  ["1.1 * 3", "3.3"],
  ["0.3 / 0.1", "3"],
  ["5.5 % 0.1", "0"],
  ["1.005 * 1000", "1005"],
  ["1000000000000.1 + 0.2", "1000000000000.3"],
  ["0.0000001 * 0.0000001", "1e-14"],
  ["cast('12345678901234567890' AS Int) + 1", "12345678901234567891"],
  ["cast(long AS Int)", "12345678901234567890"],
  ["cast(-long AS Int)", "-12345678901234567891"], // rounds down
  ["cast(big AS String)", '"9007199254740993"'],
  ["cast(big AS Boolean)", "true"],
  ["huge", "1E+400"],
  ["huge > 1", "true"],
  ["huge * huge", "1E+800"],
  ["huge * huge * huge", undefined], // beyond 9.9E999
  ["beyond", "null"],
  ["[big, {'k': big}]", '[9007199254740993,{"k":9007199254740993}]'],
  ["[big] = [9007199254740993]", "true"],
  ["get([1, 2], 1.0)", "2"],
  ["sqrt(long)", "3513641828.820144"], // in double precision
  ["round(long)", "12345678901234567890"],
  ["trunc(long, 3)", "12345678901234567890.123"],
  ["ten", "10"], // gotcha 1
  ["ten / 4", "2"],
  ["half - 0.5", "10"],
];

/** The same in version 2015-10-08, where a Decimal stays one (gotcha 1). */
export const DIGITS_2015: readonly (readonly [expression: string, json: string | undefined])[] = [
  ["ten", "10.0"],
  ["ten / 4", "2.5"],
  ["10 / 4", "2"],
  ["10.0", "10.0"],
  ["ten + 1", "11.0"],
  ["half - 0.5", "10.0"],
  ["ten = 10", "true"],
  ["ten <> 10", "false"],
  ["ten > 9", "true"],
  ["cast(true AS Double)", "1.0"],
  ["cast(true AS Int)", "1"],
  ["'a' + ten", '"a10.0"'],
  ["sql_version()", '"2015-10-08"'],
];

/** What version 2015-10-08 does not have (gotcha 14), with the column where it is refused. */
export const NOT_IN_2015: readonly (readonly [sql: string, column: number, words: RegExp])[] = [
  ["SELECT VALUE a FROM 't'", 8, /SELECT VALUE is not part of version 2015-10-08/],
  ["SELECT (SELECT VALUE a FROM b) AS c FROM 't'", 9, /a SELECT inside an expression/],
  ["SELECT {'a': 1} AS c FROM 't'", 8, /a JSON literal/],
  ["SELECT [1] AS c FROM 't'", 8, /a JSON literal/],
  ["SELECT encode(*, 'base64') AS c FROM 't'", 8, /encode\(\) is not part/],
  ["SELECT decode(a, 'base64') AS c FROM 't'", 8, /decode\(\) is not part/],
  ["SELECT indexof(a, 'b') AS c FROM 't'", 8, /indexof\(\) is not part/],
  ["SELECT parse_time('yyyy', 0) AS c FROM 't'", 8, /parse_time\(\) is not part/],
  ["SELECT time_to_epoch(a, 'yyyy') AS c FROM 't'", 8, /time_to_epoch\(\) is not part/],
  ["SELECT isUndefined(a) AS c FROM 't'", 8, /Set awsIotSqlVersion to 2016-03-23/],
  ["SELECT cast(a AS Decimal) AS c FROM 't'", 18, /a cast to Decimal/],
];

/**
 * The fifteen gotchas of the dialect that show in a value; 1 and 14 stand in the tables above, 8 among the faults, 9 in
 * `EXTERNAL_LIMITS`. Where AWS IoT's page and its own rules disagree, the rules hold: the page has get("abc", 1) as "a",
 * ltrim(" h i ") as "hi ", bitnot(13) as 2 (its four bits), concat(1) as "1", bitor(13, 5) as 8 (it means bitxor).
 */
export const GOTCHAS: readonly Row[] = [
  ["parse_time('YYYY-MM-dd', 1767225600000)", "2026-01-01"], // 2: Joda's Y is the year of the era, the JDK's a week's
  ["time_to_epoch('2026-01-01', 'uuuu-MM-dd')", 1_767_225_600_000], // 2: u is the JDK's
  ["num > 12", true], // 3
  ["' 5' > 4", undefined],
  ["'5E-12' < 1", true],
  ["'5E+1' > 1", undefined],
  ["'5' = 5", false],
  ["'5' <> 5", true],
  ["missing = 5", undefined],
  ["missing <> 5", undefined],
  ["yes AND 'true'", true], // 4
  ["1 AND t", undefined],
  ["1 + '2'", "12"], // 5
  ["get(list, 0.5)", "two"], // 6: rounded
  ["cast(0.9 AS Int)", 0], // 6: rounded down
  ["get(list, '0.9')", 1], // 6: cut off
  ["get({'k': {'my-key': 1}}, 'k').x", undefined], // 7
  ["get(get({'item2': {'my-key': 1}}, 'item2'), 'my-key')", 1], // 7
  ["decode('%%', 'base64')", null], // 10
  ["decode('eyJhIjoxfQ==', 'base64').a", 1], // 10
  ["round(2.345)", 2], // 12
  ["trunc(2.345, 2)", 2.34], // 12
  ["concat(\"a\", 'b')", "ab"], // 13
  ["get('abc', 1)", "b"],
  ["ltrim(' h i ')", "h i "],
  ["concat(1)", 1],
  ["concat([1, 2, 3], 'hello', [4, 5, 6])", [1, 2, 3, "hello", 4, 5, 6]],
  ["concat('he', 'is', 'man')", "heisman"],
  ["substring('012345', -1)", "012345"],
  ["substring(false, -2.411E247)", "false"],
  ["substring(123, 2)", "3"],
  ["upper(['hello'])", '["HELLO"]'],
  ["replace('abcd', 'bc', 'x')", "axd"],
];

/** Statement, payload as text, result; "no match" and "undecided" for WHERE. */
export type StatementRow = readonly [sql: string, payload: string, outcome: JsonValue];

export const STATEMENTS: readonly StatementRow[] = [
  ["SELECT * FROM 't'", '{"a":1,"b":[2]}', { a: 1, b: [2] }],
  ["SELECT * FROM 't'", "[1,2]", [1, 2]],
  ["SELECT * FROM 't'", "5", 5],
  ["SELECT a FROM 't'", '{"a":1,"b":2}', { a: 1 }],
  ["SELECT a.b FROM 't'", '{"a":{"b":2}}', { b: 2 }],
  ["SELECT a AS x, b AS y.z FROM 't'", '{"a":1,"b":2}', { x: 1, y: { z: 2 } }],
  ["SELECT *, a + 1 AS next FROM 't'", '{"a":1}', { a: 1, next: 2 }],
  ["SELECT *, 0 AS a FROM 't'", '{"a":1,"b":2}', { a: 0, b: 2 }],
  ["SELECT 0 AS a, * FROM 't'", '{"a":1}', { a: 1 }],
  ["SELECT *, 9 AS a.c FROM 't'", '{"a":{"b":2}}', { a: { b: 2, c: 9 } }],
  ["SELECT *, 9 AS a.c FROM 't'", '{"a":5}', { a: { c: 9 } }],
  ["SELECT *, topic() AS topic FROM 't'", "not json", { topic: TOPIC }],
  ["SELECT missing, a FROM 't'", '{"a":1}', { a: 1 }],
  ["SELECT nil FROM 't'", '{"nil":null}', { nil: null }],
  ["SELECT a FROM 't'", "not json", {}],
  [
    "SELECT topic(2), timestamp(), clientid() FROM 't'",
    "{}",
    { topic: "pi-1", timestamp: RECEIVED_AT, clientid: CLIENT },
  ],
  ["SELECT cast(a AS Int) FROM 't'", '{"a":"4"}', { cast: 4 }],
  ["SELECT VALUE a FROM 't'", '{"a":"red"}', "red"],
  ["SELECT VALUE a FROM 't'", '{"a":null}', null],
  ["SELECT VALUE missing FROM 't'", "{}", ""],
  ["SELECT VALUE * FROM 't'", '{"a":1}', { a: 1 }],
  ["SELECT VALUE [a, b] FROM 't'", '{"a":1,"b":2}', [1, 2]],
  ["SELECT VALUE (-a) FROM 't'", '{"a":1}', -1],
  ["SELECT value FROM 't'", '{"value":7}', { value: 7 }],
  ["SELECT value, a FROM 't'", '{"value":7,"a":1}', { value: 7, a: 1 }],
  ["SELECT value AS v FROM 't'", '{"value":7}', { v: 7 }],
  ["SELECT value.x FROM 't'", '{"value":{"x":1}}', { x: 1 }],
  ["SELECT value - 1 AS v FROM 't'", '{"value":7}', { v: 6 }],
  ["SELECT a.end, a.from FROM 't'", '{"a":{"end":1,"from":2}}', { end: 1, from: 2 }],
  ["SELECT a AS end FROM 't'", '{"a":1}', { end: 1 }],
  ["SELECT encode(*, 'base64') AS raw FROM 't'", "hi", { raw: "aGk=" }],
  ["SELECT encode(*, 'base64') AS raw FROM 't'", '{"a":1}', { raw: "eyJhIjoxfQ==" }],
  ["SELECT a FROM 't' WHERE a > 1", '{"a":2}', { a: 2 }],
  ["SELECT a FROM 't' WHERE a > 1", '{"a":1}', "no match"],
  ["SELECT a FROM 't' WHERE a > 1", '{"b":1}', "undecided"],
  ["SELECT a FROM 't' WHERE a > 1", "not json", "undecided"],
  ["SELECT a FROM 't' WHERE a", '{"a":"TRUE"}', { a: "TRUE" }],
  ["SELECT a FROM 't' WHERE a", '{"a":1}', "undecided"],
  ["SELECT a AS x FROM 't' WHERE x > 1", '{"a":2}', "undecided"], // aliases are not visible
  ["SELECT * FROM 't' WHERE topic(2) = 'pi-1' AND timestamp() % 2 = 0", "{}", {}],
  ["select *\n\tfrom 't'\r\nwhere a = 'x'", '{"a":"x"}', { a: "x" }],
];

/** AWS IoT's page "Nested object queries". */
const SENSORS =
  '{"e":[{"n":"temperature","u":"Cel","t":1234,"v":22.5},{"n":"light","u":"lm","t":1235,"v":135},{"n":"acidity","u":"pH","t":1235,"v":7}]}';

export const NESTED: readonly StatementRow[] = [
  ["SELECT (SELECT VALUE n FROM e) as sensors FROM 't'", SENSORS, { sensors: ["temperature", "light", "acidity"] }],
  ["SELECT (SELECT v FROM e WHERE n = 'temperature') as t FROM 't'", SENSORS, { t: [{ v: 22.5 }] }],
  ["SELECT get((SELECT v FROM e WHERE n = 'temperature'), 0).v as t FROM 't'", SENSORS, { t: 22.5 }],
  [
    "SELECT (SELECT n AS k.n, v * 2 AS w FROM e WHERE v > 100) AS x FROM 't'",
    SENSORS,
    { x: [{ k: { n: "light" }, w: 270 }] },
  ],
  ["SELECT (SELECT * FROM e WHERE v < 10) AS x FROM 't'", SENSORS, { x: [{ n: "acidity", u: "pH", t: 1235, v: 7 }] }],
  ["SELECT (SELECT *, topic(2) AS on FROM a) AS x FROM 't'", '{"a":[{"v":1}]}', { x: [{ v: 1, on: "pi-1" }] }], // functions see the message
  ["SELECT (SELECT VALUE v FROM e WHERE nothing = 1) AS x FROM 't'", SENSORS, { x: [] }], // Undefined is not true
  ["SELECT (SELECT VALUE v FROM a) AS x FROM 't'", '{"a":[{"v":1},{},5,null,{"v":null}]}', { x: [1, null] }], // only the last has a v
  ["SELECT (SELECT v FROM a) AS x FROM 't'", '{"a":[{"v":1},{}]}', { x: [{ v: 1 }, {}] }],
  ["SELECT (SELECT a, b FROM o) AS x FROM 't'", '{"o":{"a":1,"b":2,"c":3}}', { x: { a: 1, b: 2 } }], // from an object, an object
  ["SELECT (SELECT VALUE c FROM o) AS x FROM 't'", '{"o":{"c":[1,2]}}', { x: [1, 2] }],
  ["SELECT (SELECT VALUE c FROM o WHERE c = 1) AS x FROM 't'", '{"o":{"c":2}}', {}],
  ["SELECT (SELECT a FROM o) AS x FROM 't'", '{"o":"text"}', {}], // from anything else, nothing
  ["SELECT (SELECT a FROM o) AS x FROM 't'", "not json", {}],
  [
    "SELECT (SELECT VALUE (SELECT VALUE k FROM i) FROM a) AS x FROM 't'",
    '{"a":[{"i":[{"k":1},{"k":2}]},{"i":[]}]}',
    { x: [[1, 2], []] },
  ],
  ["SELECT VALUE (SELECT VALUE n FROM e) FROM 't'", SENSORS, ["temperature", "light", "acidity"]],
  [
    "SELECT a FROM 't' WHERE get((SELECT VALUE v FROM a WHERE v > 1), 0) = 2",
    '{"a":[{"v":1},{"v":2}]}',
    { a: [{ v: 1 }, { v: 2 }] },
  ],
];

/** AWS IoT's page "SET clause", and what follows from its rules. */
export const VARIABLES: readonly StatementRow[] = [
  [
    "SET @temp_celsius = (temp_fahrenheit - 32) * 5 / 9 SELECT @temp_celsius AS celsius, @temp_celsius + 273.15 AS kelvin FROM 't' WHERE @temp_celsius > 25",
    '{"temp_fahrenheit":95,"humidity":60}',
    { celsius: 35, kelvin: 308.15 },
  ],
  ["SET @t = (f - 32) * 5 / 9 SELECT @t AS c FROM 't' WHERE @t > 25", '{"f":50}', "no match"],
  ["SET @t = missing SELECT a FROM 't' WHERE @t > 25", '{"a":1}', "undecided"],
  ["SET @a = 2, @b = @a * x SELECT @a, @b FROM 't'", '{"x":3}', { a: 2, b: 6 }],
  ["SET @o = o SELECT @o.k.deep AS v, @o.none AS n FROM 't'", '{"o":{"k":{"deep":1}}}', { v: 1 }],
  ["SET @o = {'a': [1, x]} SELECT get(@o.a, 1) AS v FROM 't'", '{"x":3}', { v: 3 }],
  ["SET @min = 2 SELECT (SELECT VALUE v FROM a WHERE v >= @min) AS x FROM 't'", '{"a":[{"v":1},{"v":2}]}', { x: [2] }],
  ["SET @rows = (SELECT VALUE v FROM a) SELECT get(@rows, 1) AS x FROM 't'", '{"a":[{"v":1},{"v":2}]}', { x: 2 }],
  ["SET @v = v SELECT (SELECT VALUE @v FROM a) AS x FROM 't'", '{"v":"outer","a":[{"v":1}]}', { x: ["outer"] }], // a variable sees the message
  ["SET @a = 1 SELECT @a = 1 AS one FROM 't'", "{}", { one: true }],
  ["SELECT set, SET AS s FROM 't'", '{"set":1,"SET":2}', { set: 1, s: 2 }], // elsewhere, set is a key
];

/** Statement, where the fault is (line, column), and words of the message and the hint. */
export type FaultRow = readonly [sql: string, line: number, column: number, words: RegExp];

export const FAULTS: readonly FaultRow[] = [
  ["", 1, 1, /expected SELECT, found the end/],
  ["SELEC * FROM 't'", 1, 1, /Did you mean SELECT\?/],
  ["SELECT * FORM 't'", 1, 10, /Did you mean FROM\?/],
  ["SELECT temperature FRON 't'", 1, 20, /Did you mean FROM\?/],
  ["SELECT a\nFROM 't'\nWERE a > 1", 3, 1, /Did you mean WHERE\?/],
  ["SELECT a FROM 't' WHERE a > 1 ADN b > 1", 1, 31, /Did you mean AND\?/],
  ["SELECT FROM 't'", 1, 8, /expected a value, found 'FROM'/],
  ["SELECT a, FROM 't'", 1, 11, /expected a value/],
  ["SELECT a", 1, 9, /expected FROM, found the end/],
  ["SELECT a FROM", 1, 14, /topic filter, found the end/],
  ["SELECT a FROM t", 1, 15, /Write it in quotes/],
  ["SELECT a FROM ''", 1, 15, /not a topic filter \(empty\)/],
  ["SELECT a FROM 'a/#/b'", 1, 15, /wildcard/],
  ["SELECT a FROM 't' WHERE", 1, 24, /found the end/],
  ["SELECT a FROM 't' b", 1, 19, /expected WHERE or the end/],
  ["SELECT a FROM 't' WHERE a = 'x", 1, 29, /no closing '/],
  ["SELECT a FROM 't' WHERE (a = 1", 1, 31, /expected \)/],
  ["SELECT a FROM 't' WHERE a = 1)", 1, 30, /the end, found '\)'/],
  ["SELECT a FROM 't' WHERE a != 1", 1, 27, /Write <>/],
  ["SELECT a FROM 't' WHERE a == 1", 1, 27, /single =/],
  ["SELECT a FROM 't' WHERE a && b", 1, 27, /Write AND/],
  ["SELECT a FROM 't' WHERE a LIKE 'b%'", 1, 27, /startswith/],
  ["SELECT a FROM 't' WHERE a IN [1]", 1, 27, /join comparisons with OR/],
  ["SELECT a FROM 't' WHERE a IS NULL", 1, 27, /isNull/],
  ["SELECT a FROM 't' WHERE a BETWEEN 1 AND 2", 1, 27, /x >= low/],
  ["SELECT a FROM 't' GROUP BY b", 1, 19, /GROUP BY/],
  ["SELECT a FROM 't' WHERE 1 < a < 3", 1, 31, /cannot be chained/],
  ["SELECT a FROM 't';", 1, 18, /semicolon/],
  ["SELECT a -- comment\nFROM 't'", 1, 10, /comments/],
  ["SELECT uper(a) FROM 't'", 1, 8, /Did you mean upper\(\)\?/],
  ["SELECT frobnicate(a) FROM 't'", 1, 8, /there is no function frobnicate/],
  ["SELECT topic(1, 2) FROM 't'", 1, 8, /0 to 1 argument, not 2/],
  ["SELECT abs() FROM 't'", 1, 8, /takes 1 argument, not 0/],
  ["SELECT cast(a AS Number) FROM 't'", 1, 18, /Types are/],
  ["SELECT a + 1 FROM 't'", 1, 8, /needs a name/],
  ["SELECT a AS 'x' FROM 't'", 1, 13, /a name after AS/],
  ["SELECT a[0] FROM 't'", 1, 9, /get\(array, 0\)/],
  ["SELECT a. FROM", 1, 15, /expected FROM/],
  ["SELECT VALUE a, b FROM 't'", 1, 15, /one expression/],
  ["SELECT 1st FROM 't'", 1, 8, /neither a number nor a name/],
  ["SELECT 1e1000 AS x FROM 't'", 1, 8, /too large/],
  ["SELECT {a: 1} AS x FROM 't'", 1, 9, /Keys are quoted/],
  ["SELECT CASE WHEN a THEN b END AS x FROM 't'", 1, 13, /after CASE/],
  ["SELECT CASE a ELSE b END AS x FROM 't'", 1, 15, /expected WHEN/],
  ["SET a = 1 SELECT a FROM 't'", 1, 5, /expected a variable, found 'a'[^]*Write SET @name = value/],
  ["SET @a = 1, @a = 2 SELECT a FROM 't'", 1, 13, /@a is set already/],
  ["SET @a = @b, @b = 2 SELECT a FROM 't'", 1, 10, /there is no variable @b/],
  ["SET @a = @a SELECT a FROM 't'", 1, 10, /there is no variable @a/],
  ["SET @a = 1 SET @b = 2 SELECT a FROM 't'", 1, 12, /SET stands once/],
  ["SET @a == 1 SELECT a FROM 't'", 1, 8, /single =/],
  ["SET @temperature = 1 SELECT @temperatur AS t FROM 't'", 1, 29, /Did you mean @temperature\?/],
  ["SELECT @ a FROM 't'", 1, 8, /follows at once/],
  ["SELECT a FROM 't' WHERE @a", 1, 25, /SET @name = value/],
  [`SET @${"n".repeat(65)} = 1 SELECT a FROM 't'`, 1, 5, /more than 64/],
  ["SELECT (SELECT a FROM 'b') AS x FROM 't'", 1, 23, /FROM names an array/],
  ["SELECT (SELECT a) AS x FROM 't'", 1, 17, /expected FROM/],
  ["SELECT (SELECT a + 1 FROM b) AS x FROM 't'", 1, 16, /needs a name/],
  ["SELECT (SELECT a FROM b AS x FROM 't'", 1, 25, /expected \)/],
  ["SELECT (SELECT a FROM b) FROM 't'", 1, 8, /needs a name/],
  ["SELECT a FROM 't' WHERE a – 1 > 0", 1, 27, /minus sign/],
  ["SELECT a FROM ‘t’", 1, 15, /typographic/],
  [
    "SELECT regexp_matches(a, '(b') FROM 't'",
    1,
    26,
    /regular expression is wrong at its character 1: this \( has no closing/,
  ],
  ["SELECT regexp_matches(a, '(?=b)') FROM 't'", 1, 26, /ahead or behind/],
  ["SELECT parse_time('yyyy-ii', 0) FROM 't'", 1, 19, /character 6: i is no field/],
  ["SELECT parse_time('yyyy', 0, 'Mars/Base') FROM 't'", 1, 30, /no time zone 'Mars\/Base'/],
  ["SELECT time_to_epoch(a, 'ww') FROM 't'", 1, 25, /field w is not supported/],
  ["SELECT encode(a, 'hex') FROM 't'", 1, 18, /Known is 'base64'/],
  ["SELECT decode(a, 'proto', 'b') FROM 't'", 1, 27, /bucket, key, file and message/],
  ["SELECT get_mqtt_property('topic') FROM 't'", 1, 26, /There are content_type/],
  [
    "SELECT get_dynamodb('t', 'k', a, 'r') AS b, get_dynamodb('t', 'k', c, 'r') AS d FROM 't'",
    1,
    45,
    /once per statement/,
  ], // gotcha 8
  ["SET @r = 'role' SELECT get_thing_shadow('t', @r) FROM 't'", 1, 46, /cannot be a variable/],
  ["SET @m = 'enrichArray' SELECT transform(@m, a, b) FROM 't'", 1, 41, /cannot be a variable/],
  ["SELECT (SELECT VALUE get_thing_shadow(n, 'r') FROM a) AS x FROM 't'", 1, 22, /Ask once with SET/],
  ["SELECT get_secret('k', 'Text', 'r') FROM 't'", 1, 24, /Types are SecretString/],
  ["SELECT abs(*) FROM 't'", 1, 12, /\* stands alone/],
];
