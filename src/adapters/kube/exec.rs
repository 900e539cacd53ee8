//! Commands in running containers.

use std::time::Duration;

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::{
    Api,
    api::{AttachParams, AttachedProcess},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::sleep,
};

use super::{Cluster, KubeError, REQUEST, call, replay::Replay};

/// The client's default of 1 KiB would make bulk data crawl.
const BUFFER: usize = 1024 * 1024;
/// How much is copied at a time, in bytes.
const CHUNK: usize = 64 * 1024;
/// How often a command is begun at most that the container runtime fails to begin.
const TRIES: u32 = 4;
/// How long after that it is begun again.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// A command to run in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Program and arguments; empty attaches to the container's own process instead.
    pub command: Vec<String>,
    /// Whether the command gets a terminal; its error output comes with its output then.
    pub tty: bool,
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecEnd {
    /// Its exit code.
    pub code: i32,
}

impl Cluster {
    /// Runs a command in a container until it ends, and returns its exit code.
    ///
    /// `stdin` is read to its end and then closed at the command's side; `None` gives it no input.
    /// Sizes that come in on `resizes` go to the terminal. There is no deadline: a shell may stay open
    /// for hours; dropping the future ends the connection. Where the container runtime failed before the command began,
    /// it is begun again.
    pub async fn exec(
        &self,
        request: &ExecRequest,
        stdin: Option<impl AsyncRead + Send + Unpin>,
        mut stdout: impl AsyncWrite + Send + Unpin,
        mut stderr: impl AsyncWrite + Send + Unpin,
        resizes: Option<mpsc::Receiver<TerminalSize>>,
    ) -> Result<ExecEnd, KubeError> {
        let mut stdin = stdin.map(Replay::of);
        let mut sizes = resizes.map(Sizes::of);
        let mut tries = 1;
        loop {
            let (out, err) = (&mut stdout, &mut stderr);
            let ended = self
                .exec_once(request, stdin.as_mut(), out, err, sizes.as_mut())
                .await;
            match ended {
                Err(error)
                    if error.is_passing()
                        && tries < TRIES
                        && stdin.as_mut().is_none_or(Replay::rewind) => {}
                ended => return ended,
            }
            tries += 1;
            sleep(TRY_AGAIN).await;
        }
    }

    async fn exec_once(
        &self,
        request: &ExecRequest,
        stdin: Option<impl AsyncRead + Send + Unpin>,
        stdout: &mut (impl AsyncWrite + Send + Unpin),
        stderr: &mut (impl AsyncWrite + Send + Unpin),
        resizes: Option<&mut Sizes>,
    ) -> Result<ExecEnd, KubeError> {
        let doing = format!("run a command in {}", request.pod);
        let mut process = self.start(request, stdin.is_some(), &doing).await?;
        let status = process.take_status();
        let (said, complained) = (process.stdout(), process.stderr());
        let (input, sizes) = (process.stdin(), process.terminal_size());
        let output =
            async { futures::try_join!(copy(said, stdout), copy(complained, stderr)).map(|_| ()) };
        let side = async {
            futures::join!(feed(stdin, input), resize(resizes, sizes));
            std::future::pending::<()>().await;
        };
        let copied = tokio::select! {
            copied = output => copied,
            () = side => Ok(()),
        };
        // A reader of ours that is gone (`| head`) is the caller's affair: the command's end counts.
        let broken = |why: String| KubeError::BrokenOff {
            doing: doing.clone(),
            why,
        };
        copied.map_err(|error| broken(error.to_string()))?;
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        match status {
            Some(status) => end_of(&status, request),
            None => Err(broken("it ended without saying how".to_owned())),
        }
    }

    /// Sends `stdin` to the input of a container's own process, and closes it at its end.
    ///
    /// Where the container keeps its input open for one sender (`stdinOnce`), the process sees that end.
    pub async fn feed(
        &self,
        pod: &str,
        container: &str,
        stdin: impl AsyncRead + Send + Unpin,
    ) -> Result<(), KubeError> {
        let doing = format!("send the input to {pod}");
        let params = AttachParams {
            container: Some(container.to_owned()),
            stdin: true,
            stdout: false,
            stderr: false,
            tty: false,
            max_stdin_buf_size: Some(BUFFER),
            ..AttachParams::default()
        };
        let pods: Api<Pod> = self.api();
        let mut process = call(&doing, REQUEST, pods.attach(pod, &params)).await?;
        feed(Some(stdin), process.stdin()).await;
        // Dropped before its end, the connection would take the last of the input with it.
        process.join().await.map_err(|error| KubeError::BrokenOff {
            doing,
            why: error.to_string(),
        })
    }

    async fn start(
        &self,
        request: &ExecRequest,
        has_stdin: bool,
        doing: &str,
    ) -> Result<AttachedProcess, KubeError> {
        let params = AttachParams {
            container: Some(request.container.clone()),
            stdin: has_stdin,
            stdout: true,
            stderr: !request.tty,
            tty: request.tty,
            max_stdin_buf_size: Some(BUFFER),
            max_stdout_buf_size: Some(BUFFER),
            max_stderr_buf_size: Some(BUFFER),
        };
        let pods: Api<Pod> = self.api();
        if request.command.is_empty() {
            call(doing, REQUEST, pods.attach(&request.pod, &params)).await
        } else {
            let command = request.command.iter().map(String::as_str);
            call(doing, REQUEST, pods.exec(&request.pod, command, &params)).await
        }
    }
}

/// Copies and flushes piece by piece: a person may be reading.
async fn copy(
    from: Option<impl AsyncRead + Unpin>,
    to: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    let Some(mut from) = from else {
        return Ok(());
    };
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
    }
}

/// Sends all input and then its end. A command that stopped reading is no error.
async fn feed(from: Option<impl AsyncRead + Unpin>, to: Option<impl AsyncWrite + Unpin>) {
    if let (Some(mut from), Some(mut to)) = (from, to) {
        let _ = copy(Some(&mut from), &mut to).await;
        let _ = to.shutdown().await;
    }
}

/// The sizes of a terminal as they change.
struct Sizes {
    changes: mpsc::Receiver<TerminalSize>,
    /// The one that it has, for a command that is begun again.
    last: Option<TerminalSize>,
}

impl Sizes {
    const fn of(changes: mpsc::Receiver<TerminalSize>) -> Self {
        let last = None;
        Self { changes, last }
    }
}

async fn resize(
    sizes: Option<&mut Sizes>,
    terminal: Option<futures::channel::mpsc::Sender<kube::api::TerminalSize>>,
) {
    use futures::SinkExt;
    let (Some(Sizes { changes, last }), Some(mut terminal)) = (sizes, terminal) else {
        return;
    };
    let mut next = *last;
    loop {
        if let Some(TerminalSize { width, height }) = next {
            *last = next;
            let size = kube::api::TerminalSize { width, height };
            if terminal.send(size).await.is_err() {
                return;
            }
        }
        next = changes.recv().await;
        if next.is_none() {
            return;
        }
    }
}

/// The exit code in the status that ends a session.
fn end_of(status: &Status, request: &ExecRequest) -> Result<ExecEnd, KubeError> {
    if status.status.as_deref() == Some("Success") {
        return Ok(ExecEnd { code: 0 });
    }
    let details = status.details.as_ref();
    let causes = details.and_then(|details| details.causes.as_ref());
    let code = causes
        .into_iter()
        .flatten()
        .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .find_map(|cause| cause.message.as_ref()?.parse().ok());
    match code {
        Some(code) => Ok(ExecEnd { code }),
        None => Err(KubeError::ExecNotStarted {
            command: request.command.first().cloned().unwrap_or_default(),
            pod: request.pod.clone(),
            message: status.message.clone().unwrap_or_default(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn end(status: serde_json::Value) -> Result<ExecEnd, KubeError> {
        let request = ExecRequest {
            pod: "order-1".to_owned(),
            container: "order".to_owned(),
            command: vec!["bash".to_owned()],
            tty: false,
        };
        end_of(&serde_json::from_value(status).unwrap(), &request)
    }

    #[test]
    fn the_commands_own_exit_code_comes_back() {
        assert_eq!(end(json!({ "status": "Success" })).unwrap().code, 0);
        let failed = json!({
            "status": "Failure", "reason": "NonZeroExitCode",
            "message": "command terminated with non-zero exit code",
            "details": { "causes": [{ "reason": "ExitCode", "message": "42" }] },
        });
        assert_eq!(end(failed).unwrap().code, 42);
    }

    #[test]
    fn a_command_that_is_not_there_is_no_exit_code() {
        let missing = json!({
            "status": "Failure", "reason": "InternalError",
            "message": "OCI runtime exec failed: exec: \"bash\": executable file not found in $PATH",
        });
        let failure = end(missing).unwrap_err().failure();
        assert_eq!(failure.code.0, "kube.exec-not-started");
        assert!(failure.what.contains("`bash` in order-1"));
    }
}
