//! The logs of a node through its agent.

use devenv_agent::{
    log_protocol::{LogPosition, LogRecord},
    protocol::{Request, decode, length},
};
use futures::{Stream, stream};

use super::{Agent, AgentFailure, connection::Asked};

/// A stream of records.
struct Records<'a> {
    agent: &'a Agent,
    /// `None` until it is asked for, and once it has ended.
    asked: Option<Asked>,
    request: Option<Request>,
    /// What came and was not taken.
    waiting: Vec<u8>,
    /// How much of it was taken.
    taken: usize,
}

impl Agent {
    /// What the containers of a namespace said after these positions on this node, and what they say. Ends with a
    /// failure: when the agent does. Dropped, it is over.
    pub fn logs<'a>(
        &'a self,
        namespace: &str,
        from: Vec<LogPosition>,
    ) -> impl Stream<Item = Result<LogRecord, AgentFailure>> + Send + use<'a> {
        let namespace = namespace.to_owned();
        let records = Records {
            agent: self,
            asked: None,
            request: Some(Request::Logs { namespace, from }),
            waiting: Vec::new(),
            taken: 0,
        };
        stream::unfold(records, |mut records| async move {
            let next = records.next().await?;
            Some((next, records))
        })
    }
}

impl Records<'_> {
    async fn next(&mut self) -> Option<Result<LogRecord, AgentFailure>> {
        if let Some(request) = self.request.take() {
            match self.agent.ask(request).await {
                Ok(asked) => self.asked = Some(asked),
                Err(failure) => return Some(Err(failure)),
            }
        }
        loop {
            match self.record() {
                Ok(Some(record)) => return Some(Ok(record)),
                Ok(None) => {}
                Err(error) => {
                    self.asked = None;
                    return Some(Err(self.agent.not_understood(error.to_string())));
                }
            }
            match self.asked.as_mut()?.chunk().await {
                Ok(chunk) => self.waiting.extend_from_slice(&chunk),
                Err(failure) => {
                    self.asked = None;
                    return Some(Err(failure));
                }
            }
        }
    }

    /// The next whole record of what came.
    fn record(&mut self) -> std::io::Result<Option<LogRecord>> {
        if let Some((prefix, rest)) = self.waiting[self.taken..].split_first_chunk::<4>() {
            let length = length(*prefix)?;
            if let Some(bytes) = rest.get(..length) {
                let record = decode(bytes)?;
                self.taken += 4 + length;
                return Ok(Some(record));
            }
        }
        self.waiting.drain(..self.taken);
        self.taken = 0;
        Ok(None)
    }
}
