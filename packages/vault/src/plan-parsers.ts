import {
  ArtifactPlan,
  BackupPlan,
  CopyPlan,
  createParser,
  DeletePlan,
  DestinationTestPlan,
  type JobKind,
  type Parsed,
  type Plan,
  PreviewPlan,
  ResealPlan,
  RestorePlan,
  RewrapPlan,
  RollbackPlan,
  ServerTestPlan,
  SurveyPlan,
  SweepPlan,
  VerifyPlan,
} from '@tarfleet/contracts';

/** One parser a kind, so that faults name the field, not "none of ten schemas". */
const PARSERS: Record<JobKind, (value: unknown) => Parsed<Plan>> = {
  backup: createParser(BackupPlan),
  artifact: createParser(ArtifactPlan),
  verify: createParser(VerifyPlan),
  restore: createParser(RestorePlan),
  rollback: createParser(RollbackPlan),
  preview: createParser(PreviewPlan),
  delete: createParser(DeletePlan),
  sweep: createParser(SweepPlan),
  'server-test': createParser(ServerTestPlan),
  'destination-test': createParser(DestinationTestPlan),
  reseal: createParser(ResealPlan),
  rewrap: createParser(RewrapPlan),
  survey: createParser(SurveyPlan),
  copy: createParser(CopyPlan),
};

export function parsePlan(kind: JobKind, value: unknown): Parsed<Plan> {
  return PARSERS[kind](value);
}
