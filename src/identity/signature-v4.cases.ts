/** AWS's own test suite for Signature Version 4 (aws-sig-v4-test-suite): what is signed, and the signature that AWS publishes for it. */

export const SUITE = {
  keyId: "AKIDEXAMPLE",
  secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  region: "us-east-1",
  service: "service",
  host: "example.amazonaws.com",
  stamp: "20150830T123600Z",
  at: Date.UTC(2015, 7, 30, 12, 36, 0),
} as const;

export interface SuiteCase {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  /** Beside host and x-amz-date. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
  readonly signature: string;
}

const UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const FORM = "application/x-www-form-urlencoded";

type Row = readonly [
  name: string,
  method: string,
  url: string,
  headers: SuiteCase["headers"],
  body: string,
  signature: string,
];

const VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

const ROWS: readonly Row[] = [
  ["get-vanilla", "GET", "/", {}, "", VANILLA],
  ["get-slash", "GET", "//", {}, "", VANILLA],
  ["get-slash-dot-slash", "GET", "/./", {}, "", VANILLA],
  ["get-relative", "GET", "/example/..", {}, "", VANILLA],
  ["get-relative-relative", "GET", "/example1/example2/../..", {}, "", VANILLA],
  ["get-utf8", "GET", "/\u1234", {}, "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"],
  [
    "get-vanilla-empty-query-key",
    "GET",
    "/?Param1=value1",
    {},
    "",
    "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
  ],
  [
    "get-vanilla-query-order-key-case",
    "GET",
    "/?Param2=value2&Param1=value1",
    {},
    "",
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  ],
  [
    "get-vanilla-query-unreserved",
    "GET",
    `/?${UNRESERVED}=${UNRESERVED}`,
    {},
    "",
    "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
  ],
  [
    "get-vanilla-utf8-query",
    "GET",
    "/?\u1234=bar",
    {},
    "",
    "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
  ],
  [
    "get-vanilla-utf8-query, percent-encoded",
    "GET",
    "/?%E1%88%B4=bar",
    {},
    "",
    "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
  ],
  [
    "get-header-key-duplicate",
    "GET",
    "/",
    { "my-header1": ["value2", "value2", "value1"] },
    "",
    "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
  ],
  [
    "get-header-value-order",
    "GET",
    "/",
    { "my-header1": ["value4", "value1", "value3", "value2"] },
    "",
    "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
  ],
  [
    "get-header-value-trim",
    "GET",
    "/",
    { "my-header1": " value1", "my-header2": ' "a   b   c"' },
    "",
    "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
  ],
  ["post-vanilla", "POST", "/", {}, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
  [
    "post-header-key-sort",
    "POST",
    "/",
    { "my-header1": "value1" },
    "",
    "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
  ],
  [
    "post-header-value-case",
    "POST",
    "/",
    { "my-header1": "VALUE1" },
    "",
    "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
  ],
  [
    "post-vanilla-query",
    "POST",
    "/?Param1=value1",
    {},
    "",
    "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
  ],
  [
    "post-vanilla-query-nonunreserved",
    "POST",
    `/?${encodeURIComponent("@#$%^")}=&%2B=${encodeURIComponent('/,?><`";:\\|][{}')}`,
    {},
    "",
    "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e",
  ],
  [
    "post-vanilla-query-space",
    "POST",
    "/?p=",
    {},
    "",
    "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b",
  ],
  [
    "post-x-www-form-urlencoded",
    "POST",
    "/",
    { "content-type": FORM },
    "Param1=value1",
    "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
  ],
  [
    "post-x-www-form-urlencoded-parameters",
    "POST",
    "/",
    { "content-type": `${FORM}; charset=utf8` },
    "Param1=value1",
    "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
  ],
];

export const CASES: readonly SuiteCase[] = ROWS.map(([name, method, url, headers, body, signature]) => ({
  name,
  method,
  url,
  headers,
  body,
  signature,
}));
