//! Running a program in a container.

use std::time::Duration;

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecResults},
};
use futures::StreamExt as _;
use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{Docker, DockerError};

/// How a program ended and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code.
    pub code: i64,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl Docker {
    /// Runs `command` in a running container and waits for its end, at most for `deadline`.
    ///
    /// Its standard input is `stdin`, or nothing. Any exit code is a success of this call.
    pub async fn exec(
        &self,
        container: &str,
        command: &[&str],
        stdin: Option<Vec<u8>>,
        deadline: Duration,
    ) -> Result<ExecOutput, DockerError> {
        let program = command.first().copied().unwrap_or_default();
        let what = format!("run {program} in the container {container}");
        match timeout(deadline, self.run(&what, container, command, stdin)).await {
            Ok(output) => output,
            Err(_) => Err(DockerError::Late { what, deadline }),
        }
    }

    async fn run(
        &self,
        what: &str,
        container: &str,
        command: &[&str],
        stdin: Option<Vec<u8>>,
    ) -> Result<ExecOutput, DockerError> {
        let refused =
            |error: bollard::errors::Error| DockerError::refused(self.endpoint(), what, &error);
        let options = CreateExecOptions {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..CreateExecOptions::default()
        };
        let created = self
            .client()
            .create_exec(container, options)
            .await
            .map_err(refused)?;
        let started = self
            .client()
            .start_exec(&created.id, None)
            .await
            .map_err(refused)?;
        let mut result = ExecOutput {
            code: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        if let StartExecResults::Attached {
            mut output,
            mut input,
        } = started
        {
            let feed = async {
                // A program that does not read to the end closes the pipe: its exit code tells the story.
                if let Some(bytes) = stdin {
                    let _ = input.write_all(&bytes).await;
                }
                let _ = input.shutdown().await;
            };
            let collect = async {
                while let Some(piece) = output.next().await {
                    match piece? {
                        LogOutput::StdErr { message } => result.stderr.extend_from_slice(&message),
                        LogOutput::StdOut { message } | LogOutput::Console { message } => {
                            result.stdout.extend_from_slice(&message);
                        }
                        LogOutput::StdIn { .. } => {}
                    }
                }
                Ok(())
            };
            let ((), collected) = tokio::join!(feed, collect);
            collected.map_err(refused)?;
        }
        let ended = self
            .client()
            .inspect_exec(&created.id)
            .await
            .map_err(refused)?;
        result.code = ended.exit_code.ok_or_else(|| DockerError::Refused {
            what: what.to_owned(),
            message: "the connection ended before the program did".to_owned(),
            status: 0,
        })?;
        Ok(result)
    }
}
