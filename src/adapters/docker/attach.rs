//! A program in a container that is talked to while it runs, and files put into a container.

use std::{pin::Pin, time::Duration};

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecResults},
    query_parameters::UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::io::AsyncWrite;

use super::{Docker, DockerError, client::QUICK};

/// What is done, for messages.
pub(super) fn running(container: &str, command: &[&str]) -> String {
    let program = command.first().copied().unwrap_or_default();
    format!("run {program} in the container {container}")
}

/// What a program that runs in a container says, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// On its standard output.
    Out(Bytes),
    /// On its standard error.
    Error(Bytes),
}

/// The engine's number for a program that it started in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecId(String);

/// The standard input of a program in a container.
pub type AttachedInput = Pin<Box<dyn AsyncWrite + Send>>;
/// What a program in a container says, until it ends.
pub type AttachedOutput = Pin<Box<dyn Stream<Item = Result<Said, DockerError>> + Send>>;

/// A program that runs in a container. It is told the end of its input when this is dropped.
pub struct Attached {
    /// Its number.
    pub id: ExecId,
    /// Its standard input.
    pub input: AttachedInput,
    /// What it says.
    pub output: AttachedOutput,
}

/// What a program gets to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// What is written to it.
    Open,
    /// Nothing.
    None,
}

impl Docker {
    /// Starts a program in a running container and stays connected with it.
    pub async fn attach(&self, container: &str, command: &[&str]) -> Result<Attached, DockerError> {
        self.attach_with(container, command, Input::Open).await
    }

    pub(super) async fn attach_with(
        &self,
        container: &str,
        command: &[&str],
        input: Input,
    ) -> Result<Attached, DockerError> {
        let what = running(container, command);
        let options = CreateExecOptions {
            attach_stdin: Some(input == Input::Open),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..CreateExecOptions::default()
        };
        let created = self.client().create_exec(container, options);
        let id = self.call(&what, QUICK, created).await?.id;
        let started = self.client().start_exec(&id, None);
        let StartExecResults::Attached { output, input } = self.call(&what, QUICK, started).await?
        else {
            let message = "the engine did not stay connected".to_owned();
            let status = 0;
            return Err(DockerError::Refused {
                what,
                message,
                status,
            });
        };
        let endpoint = self.endpoint().clone();
        let output = output.filter_map(move |piece| {
            let said = match piece {
                Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                    Some(Ok(Said::Out(message)))
                }
                Ok(LogOutput::StdErr { message }) => Some(Ok(Said::Error(message))),
                Ok(LogOutput::StdIn { .. }) => None,
                Err(error) => Some(Err(DockerError::refused(&endpoint, &what, &error))),
            };
            std::future::ready(said)
        });
        Ok(Attached {
            id: ExecId(id),
            input,
            output: Box::pin(output),
        })
    }

    /// The exit code of a program that was attached to; `None` while it runs.
    ///
    /// The engine keeps the stream of one that was killed open for as long as its input may come.
    pub async fn exit_code(&self, program: &ExecId) -> Result<Option<i64>, DockerError> {
        let look = self.client().inspect_exec(&program.0);
        let looked = self.call("look at a program that it runs", QUICK, look);
        Ok(looked.await?.exit_code)
    }

    /// Puts a program into a container, running or not, at an absolute path; what is there already becomes it.
    pub async fn put_program(
        &self,
        container: &str,
        path: &str,
        program: &[u8],
        within: Duration,
    ) -> Result<(), DockerError> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(program.len() as u64);
        let mut archive = tar::Builder::new(Vec::new());
        let path = path.trim_start_matches('/');
        let packed = archive.append_data(&mut header, path, program);
        let archive = packed.and_then(|()| archive.into_inner());
        let archive = archive.map_err(|source| DockerError::Refused {
            what: format!("be given {path}"),
            message: source.to_string(),
            status: 0,
        })?;
        self.upload(container, "/", archive, within).await
    }

    /// Unpacks a tar archive at a directory of a container, running or not.
    pub async fn upload(
        &self,
        container: &str,
        directory: &str,
        archive: Vec<u8>,
        within: Duration,
    ) -> Result<(), DockerError> {
        let options = UploadToContainerOptionsBuilder::new()
            .path(directory)
            .build();
        let body = bollard::body_full(archive.into());
        let upload = self
            .client()
            .upload_to_container(container, Some(options), body);
        let what = format!("put files into the container {container}");
        self.call(&what, within, upload).await
    }
}
