//! A client's side of a session's socket.

use std::{collections::BTreeMap, io, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Running,
    protocol::{FORM, Greeting, LONGEST_ANSWER, Request, StatusAnswer, StopAnswer, Told, line},
};
use crate::{
    adapters::local_socket::{self, Line, LineReader, LineWriter},
    domain::{ExitClass, Failure, ServiceName},
    report::{LiveEvent, Standing},
    state::EnvironmentPaths,
};

/// How long a session may take for an answer: it only has to say what it knows.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Why a session does not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is none.
    #[error("no session runs")]
    NotRunning(#[source] io::Error),
    /// It is there and says nothing, or its connection broke.
    #[error("the session does not answer")]
    NoAnswer(#[source] io::Error),
    /// It says something else than is expected, as that of another devenv may.
    #[error("the session says something that this devenv does not understand")]
    NotUnderstood,
}

impl ClientError {
    /// What a user is told.
    pub fn failure(&self) -> Failure {
        match self {
            Self::NotRunning(_) => Failure::new(
                "session.not-running",
                ExitClass::Cluster,
                "no session of this environment runs",
            )
            .help("devenv up   # starts it"),
            Self::NoAnswer(_) | Self::NotUnderstood => Failure::new(
                "session.no-answer",
                ExitClass::Cluster,
                "the session of this environment does not answer as it should",
            )
            .caused_by(self)
            .help("devenv session stop   # ends it")
            .help("devenv up   # starts another"),
        }
    }
}

/// A connection to a session.
#[derive(Debug)]
pub struct Client {
    reader: LineReader,
    writer: LineWriter,
    greeting: Greeting,
}

impl Client {
    /// Connects to the session of an environment.
    pub async fn connect(paths: &EnvironmentPaths) -> Result<Self, ClientError> {
        let path = paths.session_socket();
        let (mut reader, writer) =
            local_socket::connect(&path)
                .await
                .map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                        ClientError::NotRunning(error)
                    }
                    _ => ClientError::NoAnswer(error),
                })?;
        let greeting: Greeting = answer(&mut reader).await?;
        if greeting.session != FORM {
            return Err(ClientError::NotUnderstood);
        }
        Ok(Self {
            reader,
            writer,
            greeting,
        })
    }

    /// Who answers.
    pub fn running(&self) -> Running {
        Running {
            pid: self.greeting.pid,
            since: self.greeting.since,
            version: self.greeting.version.clone(),
        }
    }

    /// How it stands with the services.
    pub async fn standings(&mut self) -> Result<BTreeMap<ServiceName, Standing>, ClientError> {
        let answer: StatusAnswer = self.ask(&Request::Status).await?;
        Ok(answer.services)
    }

    /// Asks the session to end. It has not ended yet when it has answered.
    pub(super) async fn stop(mut self) -> Result<(), ClientError> {
        let _: StopAnswer = self.ask(&Request::Stop).await?;
        Ok(())
    }

    /// Asks for the last `tail` events and every further one, which [`Client::next`] returns from now on.
    pub async fn attach(&mut self, tail: usize) -> Result<(), ClientError> {
        self.say(&Request::Attach { tail }).await
    }

    /// What an attached client hears next. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Result<Said, ClientError> {
        match self.reader.next(LONGEST_ANSWER).await {
            Ok(Line::Text(text)) => match serde_json::from_str(&text) {
                Ok(Told::Event(event)) => Ok(Said::Event(Box::new(event))),
                Ok(Told::Missed { missed }) => Ok(Said::Missed(missed)),
                Err(_) => Err(ClientError::NotUnderstood),
            },
            Ok(Line::TooLong) => Err(ClientError::NotUnderstood),
            // One that was killed breaks its connections.
            Ok(Line::End) | Err(_) => Ok(Said::End),
        }
    }

    async fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, ClientError> {
        self.say(request).await?;
        answer(&mut self.reader).await
    }

    async fn say(&mut self, request: &impl Serialize) -> Result<(), ClientError> {
        let written = self.writer.line(&line(request)).await;
        written.map_err(ClientError::NoAnswer)
    }
}

/// What an attached client hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// An event.
    Event(Box<LiveEvent>),
    /// So many events went by, since this client was too slow.
    Missed(u64),
    /// The session has ended.
    End,
}

async fn answer<T: DeserializeOwned>(reader: &mut LineReader) -> Result<T, ClientError> {
    let read = tokio::time::timeout(ANSWER_WITHIN, reader.next(LONGEST_ANSWER)).await;
    let line = read
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(ClientError::NoAnswer)?;
    match line {
        Line::Text(text) => serde_json::from_str(&text).map_err(|_| ClientError::NotUnderstood),
        Line::TooLong => Err(ClientError::NotUnderstood),
        Line::End => Err(ClientError::NoAnswer(io::ErrorKind::UnexpectedEof.into())),
    }
}
