export { STORED_POLICY, parsePolicy } from "./policy-document.ts";
export type { Effect, PolicyDocument, PolicyLimits, Statement } from "./policy-document.ts";
export { compilePolicy } from "./compiled-policy.ts";
export type { CompiledPolicy, Explanation, NamedPolicy, StatementRef, Weighing } from "./compiled-policy.ts";
export { policyWarnings } from "./policy-warnings.ts";
export type { DataAction, MqttAction, PolicyAction } from "./actions.ts";
export type { CertificateContext, DistinguishedName, PolicyContext, ThingContext } from "./variables.ts";
export { DEFAULT_POLICY_DOCUMENT, DEFAULT_POLICY_NAME } from "./default-policy.ts";
export { mayBecome, verdict } from "./certificate-status.ts";
export type { CertificateState, CertificateStatus, RefusalReason, Verdict } from "./certificate-status.ts";
export { ScramExchange, parseScramVerifier, prepared as preparedPassword, scramVerifier } from "./scram.ts";
export type { ScramCredential, ScramHash, ScramStep } from "./scram.ts";
export { claimPolicyDocument } from "./provisioning/claim-policy.ts";
export { Provisioner } from "./provisioning/provisioner.ts";
export type { Claimant, NewCertificate, NewClaim, NewKeys, ProvisionerOptions } from "./provisioning/provisioner.ts";
export { RequestRates } from "./provisioning/request-rates.ts";
export type { Provisioned } from "./provisioning/apply.ts";
export { ProvisioningRefusal } from "./provisioning/refusal.ts";
export type { TemplateBody, TemplateType } from "./provisioning/template-body.ts";
export { BulkProvisioning } from "./provisioning/bulk.ts";
export type { BulkParameter, BulkTerms } from "./provisioning/bulk.ts";
export { RegistrationTasks } from "./provisioning/registration-tasks.ts";
export type { NewRegistrationTask } from "./provisioning/registration-tasks.ts";
export { JoinCodes } from "./provisioning/join-codes.ts";
export type { SharedJoinFailures } from "./provisioning/join-failures.ts";
export type { JoinCodesOptions, Joined, NewJoinCode } from "./provisioning/join-codes.ts";
export { Templates } from "./provisioning/templates.ts";
export type { NewTemplate, TemplateChange } from "./provisioning/templates.ts";
export type {
  BulkRecord,
  BulkStore,
  ClaimRecord,
  DeviceIssuer,
  DeviceRegistry,
  EnrolmentCodeRecord,
  EnrolmentCodeStore,
  HookInput,
  HookRunner,
  IssuedDevice,
  JoinCodeRecord,
  JoinCodeStore,
  JoinOffer,
  KnownThing,
  ProvisioningStore,
  RegistrationInput,
  RegistrationLine,
  RegistrationTask,
  RegistrationTaskStatus,
  RegistrationTaskStore,
  RegistrationTemplate,
  RetirementRecord,
  DepartureStore,
  TemplateRecord,
  TemplateVersion,
  TokenRecord,
} from "./provisioning/ports.ts";
export { RefusalBook } from "./refusal-book.ts";
export type { RefusalEntry, RefusalQuery, RefusedAction, RefusedRequest } from "./refusal-book.ts";
export { bearerOf } from "./token.ts";
export type { Bearer, TokenMapping, TokenRules, TokenVerdict, TokenVerifier } from "./token.ts";
export { fateOf } from "./succession.ts";
export type { PredecessorFate, Succession, SuccessionStore, SuccessionTimes } from "./succession.ts";
export { isSigned, parseSignature, signatureFault, verifySignature } from "./signature-v4.ts";
export type { Expected, ParsedSignature, SignatureFault, SignatureHash, SignedRequest } from "./signature-v4.ts";
