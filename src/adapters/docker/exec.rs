//! Running a program in a container.

use std::time::Duration;

use futures::TryStreamExt as _;
use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{
    Attached, Docker, DockerError, Said,
    attach::{Input, running},
};

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
        match timeout(deadline, self.run(container, command, stdin)).await {
            Ok(output) => output,
            Err(_) => Err(DockerError::Late {
                what: running(container, command),
                deadline,
            }),
        }
    }

    async fn run(
        &self,
        container: &str,
        command: &[&str],
        stdin: Option<Vec<u8>>,
    ) -> Result<ExecOutput, DockerError> {
        let kind = match stdin {
            Some(_) => Input::Open,
            None => Input::None,
        };
        let Attached {
            id,
            mut input,
            mut output,
        } = self.attach_with(container, command, kind).await?;
        let feed = async {
            // A program that does not read to the end closes the pipe: its exit code tells the story.
            if let Some(bytes) = stdin {
                let _ = input.write_all(&bytes).await;
            }
            let _ = input.shutdown().await;
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let collect = async {
            while let Some(said) = output.try_next().await? {
                match said {
                    Said::Out(bytes) => stdout.extend_from_slice(&bytes),
                    Said::Error(bytes) => stderr.extend_from_slice(&bytes),
                }
            }
            Ok::<_, DockerError>(())
        };
        let ((), collected) = tokio::join!(feed, collect);
        collected?;
        let code = self.exit_code(&id).await?;
        let code = code.ok_or_else(|| DockerError::Refused {
            what: running(container, command),
            message: "the connection ended before the program did".to_owned(),
            status: 0,
        })?;
        Ok(ExecOutput {
            code,
            stdout,
            stderr,
        })
    }
}
