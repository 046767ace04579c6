import { Timestamp } from '@tarfleet/contracts';
import { Type } from 'typebox';
import { Name, one, page, strict } from '../shapes.ts';

export const NewProjectBody = strict({ name: Name });
export const ProjectChangesBody = strict({ name: Type.Optional(Name) });

const ProjectView = strict({ id: Type.Integer(), name: Type.String(), created_at: Timestamp });
export const ProjectAnswer = one(ProjectView);
export const ProjectPage = page(ProjectView);
