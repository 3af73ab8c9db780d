/** What a password must be (NIST SP 800-63B section 5.1.1.2): long, and not one of those that everybody tries first. Nothing about its letters. */
import { LIMITS } from "../base/mod.ts";

const { passwordCharactersMin, passwordCharactersMax } = LIMITS.people;

/** The ones of ten characters and more that stand at the top of every list of stolen passwords. */
const WORST: ReadonlySet<string> = new Set(
  `
  1234567890 0123456789 0987654321 12345678910 123456789a a123456789 1q2w3e4r5t q1w2e3r4t5 1qaz2wsx3edc
  qwertyuiop qwerty12345 qwerty123456 qwertyuiop123 asdfghjkl123 zxcvbnm123 password12 password123 password1234
  password12345 passw0rd123 p@ssw0rd123 p@ssword123 administrator administrator1 administrator123 adminadmin admin12345
  admin123456 rootroot12 changeme123 changemenow letmein123 letmein1234 welcome123 welcome1234 iloveyou12
  iloveyou123 sunshine12 sunshine123 princess123 football123 baseball123 superman123 batman12345 dragon12345
  monkey12345 master12345 michelle123 charlie1234 trustno1trustno1 abcdefghij abcdefghijk abc1234567 abcd123456
  abcd1234abcd aa12345678 test123456 testtest12 testtesttest secret1234 raspberrypi raspberry123 mosquitto123
  homeassistant default123 guest12345 tidewire123
`
    .split(/\s+/)
    .filter((word) => word !== ""),
);

/** As it is hashed: the same text typed on another keyboard is the same password. */
export function normalPassword(password: string): string {
  return password.normalize("NFKC");
}

/** Why the password cannot be used, as the end of a sentence; null where it can. */
export function passwordFault(given: string, user: string): string | null {
  const password = normalPassword(given);
  const length = Array.from(password).length;
  if (length < passwordCharactersMin)
    return `it has ${length} characters, and at least ${passwordCharactersMin} are needed`;
  if (length > passwordCharactersMax) return `it has more than ${passwordCharactersMax} characters`;
  const plain = password.toLowerCase();
  if (WORST.has(plain)) return "it is one of the first that everybody tries";
  if (new Set(plain).size < 4) return "it is a few characters again and again";
  if (isRun(plain)) return "it is a row of neighbours, such as abcdef or 12345";
  for (const word of ["tidewire", user]) {
    if (word.length >= 3 && plain.includes(word) && plain.length - word.length < 6) {
      return `it is little more than '${word}'`;
    }
  }
  return null;
}

function isRun(text: string): boolean {
  const steps = new Set<number>();
  for (let index = 1; index < text.length; index++) steps.add(text.charCodeAt(index) - text.charCodeAt(index - 1));
  return steps.size === 1 && Math.abs([...steps][0]!) === 1;
}
