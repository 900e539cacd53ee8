//! Why a build failed, told apart and explained.

use std::path::Path;

use super::{
    DockerError, dockerfile,
    error::{disk_full, is_disk_full},
    trace::FailedStep,
};
use crate::{
    adapters::{context::ArchiveError, files::FileError},
    domain::{ExitClass, Failure, Place},
};

/// What BuildKit names the step in which it looks for a base image.
const BASE_STEP: &str = "[internal] load metadata for ";
/// What BuildKit names the step in which it looks for the syntax that a Dockerfile's first line asks for.
const SYNTAX_STEP: &str = "resolve image config for ";
/// What precedes the line number in a complaint about a Dockerfile.
const PARSE_ERROR: &str = "dockerfile parse error";

/// The instruction that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedInstruction {
    /// BuildKit's name for it, such as `[2/3] RUN make`.
    pub name: String,
    /// Where it is written, if it was found.
    pub place: Option<Place>,
    /// The last lines it wrote.
    pub log: Vec<String>,
}

impl FailedInstruction {
    /// The instruction as the Dockerfile has it, without the number of its step.
    fn command(&self) -> &str {
        match self.name.split_once("] ") {
            Some((step, command)) if step.starts_with('[') => command,
            _ => &self.name,
        }
    }
}

/// A build that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The disk of the engine is full.
    #[error("the image of {title} cannot be built: the disk is full")]
    DiskFull {
        /// Whose image it is.
        title: String,
        /// In BuildKit's words.
        message: String,
    },
    /// A base image is neither here nor to be had.
    #[error("the base image {image} cannot be had")]
    BaseMissing {
        /// The base image, in full.
        image: String,
        /// The line that names it.
        place: Option<Place>,
        /// In BuildKit's words.
        message: String,
    },
    /// The image of the syntax that the Dockerfile asks for is not to be had.
    #[error("the Dockerfile's syntax {image} cannot be had")]
    SyntaxMissing {
        /// The image of the syntax, in full.
        image: String,
        /// The line that asks for it.
        place: Option<Place>,
        /// In BuildKit's words.
        message: String,
    },
    /// The Dockerfile is wrong.
    #[error("the Dockerfile of {title} is not valid")]
    Dockerfile {
        /// Whose image it is.
        title: String,
        /// The line.
        place: Option<Place>,
        /// In BuildKit's words.
        message: String,
    },
    /// An instruction failed.
    #[error("the image of {title} cannot be built: `{}` failed", instruction.command())]
    Instruction {
        /// Whose image it is.
        title: String,
        /// The instruction.
        instruction: Box<FailedInstruction>,
        /// In BuildKit's words.
        message: String,
    },
    /// BuildKit failed in another way.
    #[error("the image of {title} cannot be built")]
    Other {
        /// Whose image it is.
        title: String,
        /// In BuildKit's words.
        message: String,
    },
    /// The context could not be sent.
    #[error("the build context of {title} could not be sent")]
    Context {
        /// Whose image it is.
        title: String,
        /// Why not.
        #[source]
        source: ArchiveError,
    },
    /// A secret's file cannot be read.
    #[error("the build secret `{id}` cannot be read")]
    Secret {
        /// Its id.
        id: String,
        /// Why not.
        #[source]
        source: FileError,
    },
    /// It was ended by the caller.
    #[error("the build of {title} was cancelled")]
    Cancelled {
        /// Whose image it is.
        title: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] DockerError),
}

impl BuildError {
    /// What BuildKit's `message` means, with the step that failed, if any.
    pub(super) fn explained(
        title: &str,
        message: String,
        step: Option<FailedStep>,
        dockerfile_on_disk: &Path,
        dockerfile_text: &str,
    ) -> Self {
        let title = title.to_owned();
        if is_disk_full(&message) || step.as_ref().is_some_and(|step| is_disk_full(&step.error)) {
            return Self::DiskFull { title, message };
        }
        if message.contains(PARSE_ERROR) {
            let place = parse_error_line(&message).and_then(|line| {
                dockerfile::place_of_line(dockerfile_on_disk, dockerfile_text, line)
            });
            return Self::Dockerfile {
                title,
                place,
                message,
            };
        }
        let Some(step) = step else {
            return Self::Other { title, message };
        };
        if let Some(image) = step.name.strip_prefix(BASE_STEP) {
            return Self::BaseMissing {
                image: image.to_owned(),
                place: dockerfile::place_of_base(dockerfile_on_disk, dockerfile_text, image),
                message: step.error,
            };
        }
        if let Some(image) = step.name.strip_prefix(SYNTAX_STEP) {
            return Self::SyntaxMissing {
                image: image.trim_start_matches("docker-image://").to_owned(),
                place: dockerfile::place_of_syntax(dockerfile_on_disk, dockerfile_text),
                message: step.error,
            };
        }
        let place = dockerfile::place_of_step(dockerfile_on_disk, dockerfile_text, &step.name);
        Self::Instruction {
            title,
            instruction: Box::new(FailedInstruction {
                name: step.name,
                place,
                log: step.log,
            }),
            message: step.error,
        }
    }

    /// The explanation for the user.
    pub fn failure(&self) -> Failure {
        let failure = |code, class| Failure::new(code, class, self.to_string());
        match self {
            Self::DiskFull { message, .. } => disk_full(&self.to_string(), message),
            Self::BaseMissing {
                image,
                place,
                message,
            } => failure("image.base-missing", ExitClass::Cluster)
                .because(message.clone())
                .at(place.clone())
                .help(format!("check the name, then try it: `docker pull {image}`"))
                .help("without a connection to its registry, load it from a file: `docker load -i FILE`"),
            Self::SyntaxMissing { place, message, .. } => {
                failure("image.base-missing", ExitClass::Cluster)
                    .because(message.clone())
                    .at(place.clone())
                    .help("remove the `# syntax=` line: the engine knows the usual syntax by itself")
            }
            Self::Dockerfile { place, message, .. } => {
                failure("image.bad-dockerfile", ExitClass::Manifest)
                    .because(message.clone())
                    .at(place.clone())
                    .help("correct the line; the syntax: https://docs.docker.com/reference/dockerfile/")
            }
            Self::Instruction {
                instruction,
                message,
                ..
            } => failure("image.build-failed", ExitClass::Cluster)
                .because(exit_code(message).unwrap_or_else(|| message.clone()))
                .with_evidence("last log lines of the build", instruction.log.clone())
                .at(instruction.place.clone())
                .help("correct the instruction, or what it copies or runs, and run `devenv up` again"),
            Self::Other { message, .. } => failure("image.build-failed", ExitClass::Cluster)
                .because(message.clone())
                .help("run `devenv up -v` to see the whole log of the build"),
            Self::Context { source, .. } => match source {
                ArchiveError::Changed(_) => failure("image.context-changed", ExitClass::Cluster)
                    .caused_by(source)
                    .help("run the command again once the files rest"),
                ArchiveError::File(error) => error.failure(),
                ArchiveError::Entry { .. } => {
                    failure("image.build-failed", ExitClass::Cluster).caused_by(source)
                }
            },
            Self::Secret { source, .. } => failure("image.secret-missing", ExitClass::Manifest)
                .caused_by(source)
                .help("write the file, or correct `build.secrets` in devenv.yaml"),
            Self::Cancelled { .. } => failure("image.cancelled", ExitClass::Interrupted),
            Self::Engine(error) => error.failure(),
        }
    }
}

/// What is new in BuildKit's words about a command that failed: the rest repeats the command.
fn exit_code(message: &str) -> Option<String> {
    let (_, code) = message.rsplit_once("exit code: ")?;
    let code: i32 = code.trim().parse().ok()?;
    Some(format!("it ended with exit code {code}"))
}

/// The number after `line` in `dockerfile parse error line 3: ...` or `... on line 3: ...`.
fn parse_error_line(message: &str) -> Option<usize> {
    let rest = message.split_once(PARSE_ERROR)?.1.split_once("line ")?.1;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERFILE: &str = "# syntax=docker/dockerfile:1\nFROM nowhere:1\nRUN false\nFOO bar\n";

    fn explained(message: &str, step: Option<(&str, &str)>) -> Failure {
        let step = step.map(|(name, error)| FailedStep {
            name: name.to_owned(),
            error: error.to_owned(),
            log: vec!["a line".to_owned()],
        });
        BuildError::explained(
            "order",
            message.to_owned(),
            step,
            Path::new("/p/Dockerfile"),
            DOCKERFILE,
        )
        .failure()
    }

    #[test]
    fn each_cause_has_its_code_and_its_line() {
        let cases = [
            (
                "solve: write /x: no space left on device",
                None,
                "docker.disk-full",
                None,
            ),
            (
                "dockerfile parse error line 4: unknown instruction: FOO",
                None,
                "image.bad-dockerfile",
                Some(4),
            ),
            (
                "dockerfile parse error on line 4: unknown instruction: FOO",
                None,
                "image.bad-dockerfile",
                Some(4),
            ),
            (
                "failed to solve",
                Some((
                    "[internal] load metadata for docker.io/library/nowhere:1",
                    "not found",
                )),
                "image.base-missing",
                Some(2),
            ),
            (
                "failed to solve",
                Some((
                    "resolve image config for docker-image://docker.io/docker/dockerfile:1",
                    "timeout",
                )),
                "image.base-missing",
                Some(1),
            ),
            (
                "failed to solve",
                Some(("[2/2] RUN false", "exit code: 1")),
                "image.build-failed",
                Some(3),
            ),
            (
                "target stage x could not be found",
                None,
                "image.build-failed",
                None,
            ),
        ];
        for (message, step, code, line) in cases {
            let failure = explained(message, step);
            assert_eq!(failure.code.0, code, "{message}");
            assert_eq!(failure.place.map(|place| place.line), line, "{message}");
        }
    }

    #[test]
    fn a_failed_instruction_shows_what_it_wrote_last() {
        let failure = explained("failed to solve", Some(("[2/2] RUN false", "exit code: 1")));
        assert_eq!(failure.evidence[0].lines, ["a line"]);
        assert_eq!(failure.why, ["it ended with exit code 1"]);
        assert_eq!(
            failure.what,
            "the image of order cannot be built: `RUN false` failed"
        );
    }
}
