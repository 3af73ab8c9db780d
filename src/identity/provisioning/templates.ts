/** Provisioning templates and their versions: AWS IoT's operations. */
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { Clock, EpochMs, Logger } from "../../base/mod.ts";
import { parsePolicy } from "../policy-document.ts";
import type { HookRunner, ProvisioningStore, TemplateRecord, TemplateVersion } from "./ports.ts";
import { parseTemplateBody } from "./template-body.ts";
import type { TemplateBody, TemplateType } from "./template-body.ts";

export interface NewTemplate {
  readonly name: string;
  readonly body: string;
  readonly type?: TemplateType | undefined;
  readonly description?: string | undefined;
  readonly enabled?: boolean | undefined;
  readonly hook?: string | null | undefined;
  readonly roleArn?: string | null | undefined;
}

export interface TemplateChange {
  readonly description?: string | undefined;
  readonly enabled?: boolean | undefined;
  readonly hook?: string | null | undefined;
  readonly roleArn?: string | null | undefined;
  readonly defaultVersion?: number | undefined;
}

export interface TemplatesOptions {
  readonly store: ProvisioningStore;
  readonly hooks: HookRunner;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** AWS IoT's, which makes it one level of a topic. */
const NAME = /^[0-9A-Za-z_-]{1,36}$/;

export class Templates {
  readonly #o: TemplatesOptions;
  /** Parsed bodies of default versions, by name; as many as there are templates. */
  readonly #parsed = new Map<
    string,
    { readonly version: number; readonly madeAt: EpochMs; readonly body: TemplateBody }
  >();

  constructor(options: TemplatesOptions) {
    this.#o = options;
  }

  create(given: NewTemplate): TemplateRecord {
    const { store, clock } = this.#o;
    const {
      name,
      body,
      type = "FLEET_PROVISIONING",
      description = "",
      enabled = false,
      hook = null,
      roleArn = null,
    } = given;
    if (!NAME.test(name)) throw invalid("a template's name has 1 to 36 letters, digits, '_' and '-'");
    check(body, type);
    this.#checkHook(hook, type);
    const { templatesMax } = LIMITS.provisioning;
    const now = clock.now();
    const template = {
      name,
      type,
      description,
      enabled,
      hook,
      roleArn,
      defaultVersion: 1,
      createdAt: now,
      updatedAt: now,
    };
    store.atomically(() => {
      if (store.template(name) !== null)
        throw new TidewireError("ALREADY_EXISTS", { kind: "provisioning template", name });
      if (store.countTemplates() >= templatesMax) throw invalid(`there are ${templatesMax} templates already`);
      store.saveTemplate(template, { version: 1, body, createdAt: now });
    });
    this.#tell(name, "created");
    return template;
  }

  describe(name: string): TemplateRecord {
    return this.#o.store.template(name) ?? missing("provisioning template", name);
  }

  list(after: string | null, limit: number): readonly TemplateRecord[] {
    return this.#o.store.templates(after, limit);
  }

  update(name: string, change: TemplateChange): TemplateRecord {
    const { store, clock } = this.#o;
    const { description, enabled, hook, roleArn, defaultVersion } = change;
    const template = store.atomically((): TemplateRecord => {
      const before = this.describe(name);
      this.#checkHook(hook ?? null, before.type);
      if (defaultVersion !== undefined) this.version(name, defaultVersion);
      const changed = {
        ...before,
        description: description ?? before.description,
        enabled: enabled ?? before.enabled,
        hook: hook === undefined ? before.hook : hook,
        roleArn: roleArn === undefined ? before.roleArn : roleArn,
        defaultVersion: defaultVersion ?? before.defaultVersion,
        updatedAt: clock.now(),
      };
      store.saveTemplate(changed);
      return changed;
    });
    this.#tell(name, "updated");
    return template;
  }

  delete(name: string): void {
    this.describe(name);
    this.#o.store.removeTemplate(name);
    this.#parsed.delete(name);
    this.#tell(name, "deleted");
  }

  createVersion(
    name: string,
    body: string,
    asDefault: boolean,
  ): { readonly template: TemplateRecord; readonly version: TemplateVersion } {
    const { store, clock } = this.#o;
    check(body, this.describe(name).type);
    const { templateVersionsMax } = LIMITS.provisioning;
    const made = store.atomically(() => {
      const before = this.describe(name);
      const versions = store.versions(name);
      if (versions.length >= templateVersionsMax)
        throw new TidewireError("LIMIT_REACHED", { what: "versions of one template", limit: templateVersionsMax });
      const now = clock.now();
      const version = { version: Math.max(...versions.map((each) => each.version)) + 1, body, createdAt: now };
      const defaultVersion = asDefault ? version.version : before.defaultVersion;
      const template = { ...before, defaultVersion, updatedAt: now };
      store.saveTemplate(template, version);
      return { template, version };
    });
    this.#tell(name, "updated");
    return made;
  }

  versions(name: string): readonly TemplateVersion[] {
    this.describe(name);
    return this.#o.store.versions(name);
  }

  version(name: string, version: number): TemplateVersion {
    const found = this.versions(name).find((each) => each.version === version);
    return found ?? missing("version of the template", `${name}:${version}`);
  }

  deleteVersion(name: string, version: number): void {
    const { store } = this.#o;
    store.atomically(() => {
      const { defaultVersion } = this.describe(name);
      this.version(name, version);
      if (version === defaultVersion) {
        const reason = "it is the default version; make another one the default first";
        const kind = "version of the template";
        throw new TidewireError("STILL_IN_USE", { kind, name: `${name}:${version}`, reason });
      }
      store.removeVersion(name, version);
    });
    this.#tell(name, "updated");
  }

  /** The default version, ready to be used; null where there is no such template. */
  find(name: string): { readonly template: TemplateRecord; readonly body: TemplateBody } | null {
    const template = this.#o.store.template(name);
    if (template === null) return null;
    const { defaultVersion, createdAt: madeAt } = template;
    const known = this.#parsed.get(name);
    // Another platform may have put another template of this name in its place.
    if (known?.version === defaultVersion && known.madeAt === madeAt) return { template, body: known.body };
    const body = check(this.version(name, defaultVersion).body, template.type);
    this.#parsed.set(name, { version: defaultVersion, madeAt, body });
    return { template, body };
  }

  #checkHook(hook: string | null, type: TemplateType): void {
    // AWS IoT's rule: nobody waits for an answer where a certificate provisions itself by connecting.
    if (hook !== null && type !== "FLEET_PROVISIONING")
      throw invalid("a pre-provisioning hook is for templates of type FLEET_PROVISIONING");
    const fault = hook === null ? null : this.#o.hooks.fault(hook);
    if (fault !== null) throw invalid(`the pre-provisioning hook cannot be used: ${fault}`);
  }

  #tell(name: string, change: string): void {
    this.#o.logger.info("a provisioning template changed", { audit: true, template: name, change });
  }
}

function check(body: string, type: TemplateType): TemplateBody {
  return parseTemplateBody(body, type, parsePolicy);
}

function invalid(reason: string): TidewireError {
  return new TidewireError("REQUEST_INVALID", { reason });
}

function missing(kind: string, name: string): never {
  throw new TidewireError("NOT_FOUND", { kind, name });
}
