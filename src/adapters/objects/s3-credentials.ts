/** Who we are to an S3 server. Read for every request, so that rotated keys are taken at once; never logged. */
import { readFile } from "node:fs/promises";
import { TidewireError, reasonOf } from "../../base/mod.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** `file`: in the form of `~/.aws/credentials`, its `[default]` section. Rejects with OBJECTS_REFUSED. */
export async function credentialsFrom(
  file: string | null,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<S3Credentials> {
  const found =
    file === null
      ? {
          id: environment["AWS_ACCESS_KEY_ID"],
          secret: environment["AWS_SECRET_ACCESS_KEY"],
          token: environment["AWS_SESSION_TOKEN"],
        }
      : await fromFile(file);
  const { id, secret, token } = found;
  if (id === undefined || id === "" || secret === undefined || secret === "") {
    const where = file ?? "the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)";
    throw refused(`there are no credentials in ${where}`);
  }
  return {
    accessKeyId: id,
    secretAccessKey: secret,
    ...(token === undefined || token === "" ? {} : { sessionToken: token }),
  };
}

interface Found {
  readonly id: string | undefined;
  readonly secret: string | undefined;
  readonly token: string | undefined;
}

async function fromFile(path: string): Promise<Found> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw refused(`the credentials cannot be read: ${reasonOf(error)}`);
  }
  const values = new Map<string, string>();
  let section = "default";
  for (const line of text.split(/\r?\n/)) {
    section = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line)?.[1] ?? section;
    const pair = /^\s*([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (pair !== null && section === "default") values.set(pair[1]!, pair[2]!);
  }
  return {
    id: values.get("aws_access_key_id"),
    secret: values.get("aws_secret_access_key"),
    token: values.get("aws_session_token"),
  };
}

function refused(reason: string): TidewireError {
  return new TidewireError("OBJECTS_REFUSED", { store: "The object store", reason });
}
