import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Project } from "../api.ts";

export const ProjectContext = createContext<Project | null>(null);

/** The project that the console is about; everything below the frame has it. */
export function useProject(): Project {
  const project = useContext(ProjectContext);
  if (project === null) throw new Error("There is no project above this component");
  return project;
}
