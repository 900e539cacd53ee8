//! The stream to an agent, and the requests that are open on it.

use std::{
    collections::HashMap,
    io,
    iter::from_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use devenv_agent::protocol::{
    Answer, ContainerId, Entry, FileChange, FromAgent, Request, RequestId, ToAgent, VERSION,
    WINDOW, decode, frame, length, read_frame,
};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::{
    io::AsyncWriteExt as _,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender, error::SendTimeoutError},
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    AgentFailure,
    install::{install, program},
};
use crate::adapters::docker::{Attached, AttachedInput, AttachedOutput, Docker, ExecId, Said};

/// How long an agent may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take over a question about nothing.
const PING_WITHIN: Duration = Duration::from_secs(5);
/// After how long without a word it is looked whether the agent still runs.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// The same where an agent may rightly say nothing for hours.
const LOOK_SELDOM_AFTER: Duration = Duration::from_secs(30);
/// How long an agent that runs may say nothing to a request, beside the time that was asked for; what it does in one
/// go takes seconds at most.
const SILENT_FOR: Duration = Duration::from_mins(1);
/// How many frames may wait to be written; whoever has more to say waits.
const FRAMES_WAITING: usize = 16;
/// How much of what an agent says to standard error is kept, in bytes.
const SAID_KEPT: usize = 2048;

/// A running agent in a node. It ends when this is dropped.
#[derive(Debug)]
pub struct Agent {
    line: Arc<Line>,
    _pumps: JoinSet<()>,
}

/// What the requests of an agent share.
#[derive(Debug)]
struct Line {
    docker: Docker,
    program: ExecId,
    node: String,
    next: AtomicU32,
    frames: mpsc::Sender<Vec<u8>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<RequestId, UnboundedSender<FromAgent>>,
    /// Set once the stream has ended.
    end: Option<End>,
    said: Vec<u8>,
}

/// How a stream ended.
#[derive(Debug, Clone)]
enum End {
    Closed,
    NotUnderstood(String),
}

impl Agent {
    /// Starts the agent in a node, which is given the program where it lacks it.
    pub async fn start(docker: &Docker, node: &str) -> Result<Self, AgentFailure> {
        if let Ok(agent) = Self::connect(docker, node).await {
            return Ok(agent);
        }
        // The program may not be there, or not be whole.
        install(docker, node).await?;
        Self::connect(docker, node).await
    }

    async fn connect(docker: &Docker, node: &str) -> Result<Self, AgentFailure> {
        let Attached { id, input, output } = docker.attach(node, &[&program(), "serve"]).await?;
        let (frames, waiting) = mpsc::channel(FRAMES_WAITING);
        let line = Arc::new(Line {
            docker: docker.clone(),
            program: id,
            node: node.to_owned(),
            next: AtomicU32::new(1),
            frames,
            state: Mutex::default(),
        });
        let (hello, mut said_hello) = mpsc::unbounded_channel();
        line.state().open.insert(0, hello);
        let mut pumps = JoinSet::new();
        pumps.spawn(write(input, waiting));
        pumps.spawn(read(output, Arc::clone(&line)));
        let hello = timeout(HELLO_WITHIN, said_hello.recv()).await;
        line.state().open.remove(&0);
        match hello {
            Ok(Some(FromAgent::Hello(hello))) if hello.version == VERSION => Ok(Self {
                line,
                _pumps: pumps,
            }),
            Ok(Some(FromAgent::Hello(hello))) => Err(line.not_understood(format!(
                "version {} of the protocol instead of {VERSION}",
                hello.version
            ))),
            Ok(Some(_)) => Err(line.not_understood("no greeting".to_owned())),
            Ok(None) => Err(line.ended()),
            Err(_) => Err(line.silent()),
        }
    }

    /// Asks whether it lives.
    pub async fn ping(&self) -> Result<(), AgentFailure> {
        let asked = self.line.ask(Request::Ping).await?;
        match timeout(PING_WITHIN, asked.answer()).await {
            Ok(answer) => answer.map(|_| ()),
            Err(_) => Err(self.line.silent()),
        }
    }

    /// What is below a directory of a container, an absolute path in it.
    pub async fn list(
        &self,
        container: &ContainerId,
        directory: &[u8],
    ) -> Result<Vec<Entry>, AgentFailure> {
        let request = Request::List {
            container: container.clone(),
            directory: directory.to_vec(),
        };
        let mut asked = self.line.ask(request).await?;
        let mut records = Vec::new();
        let answer = asked.collect(&mut records).await?;
        let entries = entries(&records);
        let entries = entries.map_err(|error| self.line.not_understood(error.to_string()))?;
        match answer {
            Answer::Listed { count } if count as usize == entries.len() => Ok(entries),
            other => Err(self.line.not_understood(format!("{other:?} to a listing"))),
        }
    }

    /// Sends a request that is all in one message, and waits for its answer.
    pub(super) async fn request(&self, request: Request) -> Result<Answer, AgentFailure> {
        self.line.ask(request).await?.answer().await
    }

    /// Sends a request whose chunks are taken one by one.
    pub(super) async fn ask(&self, request: Request) -> Result<Asked, AgentFailure> {
        self.line.ask(request).await
    }

    /// The failure of an answer that does not belong to its request.
    pub(super) fn not_understood(&self, problem: String) -> AgentFailure {
        self.line.not_understood(problem)
    }
}

/// The records of a listing.
fn entries(mut records: &[u8]) -> std::io::Result<Vec<Entry>> {
    std::iter::from_fn(|| read_frame(&mut records).transpose()).collect()
}

impl Line {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(self: &Arc<Self>, request: Request) -> Result<Asked, AgentFailure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, messages) = mpsc::unbounded_channel();
        self.state().open.insert(id, sender);
        let asked = Asked {
            line: Arc::clone(self),
            id,
            messages,
            answer: None,
            under_way: 0,
            silent_for: SILENT_FOR + request.may_take(),
        };
        self.send(&ToAgent::Request { id, request }).await?;
        Ok(asked)
    }

    async fn send(&self, message: &ToAgent) -> Result<(), AgentFailure> {
        let frame = frame(message).map_err(|error| self.not_understood(error.to_string()))?;
        match self.frames.send_timeout(frame, SILENT_FOR).await {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Closed(_)) => Err(self.ended()),
            Err(SendTimeoutError::Timeout(_)) => Err(self.silent()),
        }
    }

    fn not_understood(&self, problem: String) -> AgentFailure {
        AgentFailure::NotUnderstood {
            node: self.node.clone(),
            problem,
        }
    }

    fn silent(&self) -> AgentFailure {
        AgentFailure::Silent {
            node: self.node.clone(),
        }
    }

    /// The failure of a request that the end of the stream has overtaken.
    fn ended(&self) -> AgentFailure {
        let state = self.state();
        match &state.end {
            Some(End::NotUnderstood(problem)) => self.not_understood(problem.clone()),
            Some(End::Closed) | None => AgentFailure::Gone {
                node: self.node.clone(),
                said: String::from_utf8_lossy(&state.said)
                    .lines()
                    .map(str::to_owned)
                    .collect(),
            },
        }
    }

    /// Gives a message to the request it belongs to.
    fn deliver(&self, message: FromAgent) {
        let id = match &message {
            FromAgent::Hello(_) => 0,
            FromAgent::Taken { id, .. }
            | FromAgent::Chunk { id, .. }
            | FromAgent::Answer { id, .. } => *id,
        };
        if let Some(request) = self.state().open.get(&id) {
            // One that nobody waits for any more is about to be taken off.
            let _ = request.send(message);
        }
    }

    /// Ends the line of an agent that does not run any more, or that nobody knows anything about.
    async fn look(&self) {
        if !matches!(self.docker.exit_code(&self.program).await, Ok(None)) {
            self.end(End::Closed);
        }
    }

    fn end(&self, end: End) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        state.open.clear();
    }
}

/// A request that was sent.
#[derive(Debug)]
pub(super) struct Asked {
    line: Arc<Line>,
    id: RequestId,
    messages: UnboundedReceiver<FromAgent>,
    answer: Option<Result<Answer, AgentFailure>>,
    /// Bytes that were sent and not yet taken.
    under_way: u32,
    /// How long the agent may say nothing.
    silent_for: Duration,
}

impl Asked {
    /// Whether there is an answer already.
    pub(super) fn is_answered(&mut self) -> bool {
        while self.answer.is_none()
            && let Ok(message) = self.messages.try_recv()
        {
            self.note(message, None);
        }
        self.answer.is_some()
    }

    /// A record of the protocol as bytes.
    pub(super) fn record(&self, record: &FileChange) -> Result<Vec<u8>, AgentFailure> {
        frame(record).map_err(|error| self.line.not_understood(error.to_string()))
    }

    /// Sends a chunk as soon as there is room for it; not if the answer has come.
    pub(super) async fn send(&mut self, bytes: Vec<u8>) -> Result<(), AgentFailure> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        while !self.is_answered() && self.under_way + length > WINDOW {
            let message = self.next().await?;
            self.note(message, None);
        }
        if self.answer.is_some() {
            return Ok(());
        }
        self.under_way += length;
        self.line.send(&ToAgent::Chunk { id: self.id, bytes }).await
    }

    /// Says that all was sent.
    pub(super) async fn finish(&self) -> Result<(), AgentFailure> {
        self.line.send(&ToAgent::End { id: self.id }).await
    }

    /// The next chunk of an answer that ends only with a failure, however long it takes.
    pub(super) async fn chunk(&mut self) -> Result<Vec<u8>, AgentFailure> {
        loop {
            let Ok(message) = timeout(LOOK_SELDOM_AFTER, self.messages.recv()).await else {
                self.line.look().await;
                continue;
            };
            let message = message.ok_or_else(|| self.line.ended())?;
            let mut chunk = Vec::new();
            let bytes = self.note(message, Some(&mut chunk));
            if let Some(answer) = &self.answer {
                let problem = format!("{answer:?} in a stream without an end");
                let answer = self.answer.take().and_then(Result::err);
                return Err(answer.unwrap_or_else(|| self.line.not_understood(problem)));
            }
            if bytes > 0 {
                let id = self.id;
                self.line.send(&ToAgent::Taken { id, bytes }).await?;
                return Ok(chunk);
            }
        }
    }

    /// Waits for the answer to `what`, which `take` gives back if it is another's.
    pub(super) async fn answer_to<T>(
        self,
        what: &str,
        take: impl FnOnce(Answer) -> Result<T, Answer>,
    ) -> Result<T, AgentFailure> {
        let line = Arc::clone(&self.line);
        let answer = self.answer().await?;
        take(answer).map_err(|other| line.not_understood(format!("{other:?} to {what}")))
    }

    /// Waits for the answer.
    async fn answer(mut self) -> Result<Answer, AgentFailure> {
        self.collect(&mut Vec::new()).await
    }

    /// Waits for the answer and gathers the chunks that come before it.
    async fn collect(&mut self, chunks: &mut Vec<u8>) -> Result<Answer, AgentFailure> {
        loop {
            if let Some(answer) = self.answer.take() {
                return answer;
            }
            let message = self.next().await?;
            let taken = self.note(message, Some(chunks));
            if taken > 0 {
                let (id, bytes) = (self.id, taken);
                self.line.send(&ToAgent::Taken { id, bytes }).await?;
            }
        }
    }

    /// The next chunk of an answer that ends; `None` once all has come.
    pub(super) async fn piece(&mut self) -> Result<Option<Vec<u8>>, AgentFailure> {
        while self.answer.is_none() {
            let message = self.next().await?;
            let mut chunk = Vec::new();
            let bytes = self.note(message, Some(&mut chunk));
            if bytes > 0 {
                let id = self.id;
                self.line.send(&ToAgent::Taken { id, bytes }).await?;
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// Waits for the answer and gives the records that come before it to `told`.
    pub(super) async fn followed<T: DeserializeOwned>(
        &mut self,
        mut told: impl FnMut(T) + Send,
    ) -> Result<Answer, AgentFailure> {
        loop {
            let records = self.records().await?;
            if records.is_empty() {
                return self.collect(&mut Vec::new()).await;
            }
            records.into_iter().for_each(&mut told);
        }
    }

    /// The next records, which come whole in a chunk; none once the answer has come.
    pub(super) async fn records<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, AgentFailure> {
        let Some(chunk) = self.piece().await? else {
            return Ok(Vec::new());
        };
        let mut rest = chunk.as_slice();
        let records = from_fn(|| read_frame(&mut rest).transpose());
        let records: io::Result<Vec<T>> = records.collect();
        records.map_err(|error| self.line.not_understood(error.to_string()))
    }

    /// The next message; fails when none can come any more, or none comes for too long.
    async fn next(&mut self) -> Result<FromAgent, AgentFailure> {
        let asked = Instant::now();
        while asked.elapsed() < self.silent_for {
            match timeout(LOOK_AFTER, self.messages.recv()).await {
                Ok(message) => return message.ok_or_else(|| self.line.ended()),
                Err(_) => self.line.look().await,
            }
        }
        Err(self.line.silent())
    }

    /// Takes a message in; returns how many bytes of a chunk were taken.
    fn note(&mut self, message: FromAgent, chunks: Option<&mut Vec<u8>>) -> u32 {
        match message {
            FromAgent::Hello(_) => {}
            FromAgent::Taken { bytes, .. } => self.under_way = self.under_way.saturating_sub(bytes),
            FromAgent::Chunk { bytes, .. } => {
                if let Some(chunks) = chunks {
                    chunks.extend_from_slice(&bytes);
                }
                return u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            }
            FromAgent::Answer { answer, .. } => {
                self.answer = Some(answer.map_err(AgentFailure::Refused));
            }
        }
        0
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let was_open = self.line.state().open.remove(&self.id).is_some();
        // Given up: the agent need not go on. A line that is full is told when it ends.
        if was_open
            && !self.is_answered()
            && let Ok(frame) = frame(&ToAgent::Cancel { id: self.id })
        {
            let _ = self.line.frames.try_send(frame);
        }
    }
}

/// Writes frames until nobody has any or the agent takes none.
async fn write(mut input: AttachedInput, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        let written = input.write_all(&frame).await;
        if written.is_err() || input.flush().await.is_err() {
            break;
        }
    }
    let _ = input.shutdown().await;
}

/// Reads frames until the stream ends, and ends what waits for more of it.
async fn read(mut output: AttachedOutput, line: Arc<Line>) {
    let mut waiting = Vec::new();
    let mut end = End::Closed;
    while let Some(Ok(said)) = output.next().await {
        match said {
            Said::Out(bytes) => {
                waiting.extend_from_slice(&bytes);
                if let Err(error) = take_frames(&mut waiting, &line) {
                    end = End::NotUnderstood(error.to_string());
                    break;
                }
            }
            Said::Error(bytes) => {
                let mut state = line.state();
                let room = SAID_KEPT.saturating_sub(state.said.len());
                state
                    .said
                    .extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
    }
    line.end(end);
}

/// Takes whole frames from the front of `waiting`.
fn take_frames(waiting: &mut Vec<u8>, line: &Line) -> std::io::Result<()> {
    let mut taken = 0;
    while let Some((prefix, rest)) = waiting[taken..].split_first_chunk::<4>() {
        let length = length(*prefix)?;
        let Some(bytes) = rest.get(..length) else {
            break;
        };
        line.deliver(decode(bytes)?);
        taken += 4 + length;
    }
    waiting.drain(..taken);
    Ok(())
}
