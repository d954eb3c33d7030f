//! Bodies of requests, read under limits: of one body, of the time that it takes, and of all bodies together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::failure::Failure;

/// All bodies together may hold so many times the largest one.
const BODIES: usize = 32;
/// The unit in which they are counted.
const UNIT: usize = 1024;

/// The limits of bodies.
pub(super) struct BodyLimits {
    /// Longest body in bytes.
    most: usize,
    /// How long a client may take to send one.
    patience: Duration,
    /// Units that are free.
    room: Arc<Semaphore>,
}

/// A body, and the room that it takes as long as its request lasts.
pub(super) struct ReadBody {
    pub(super) bytes: Vec<u8>,
    pub(super) room: Room,
}

/// The room of a body, and of what is unpacked from it.
pub(super) struct Room {
    free: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Makes it large enough for so many bytes in all.
    ///
    /// # Errors
    /// When there is not as much beside the others.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Failure> {
        let more = bytes.div_ceil(UNIT).saturating_sub(self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).ok().and_then(|more| self.free.clone().try_acquire_many_owned(more).ok());
        let more = more.ok_or_else(|| Failure::busy(1))?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

impl ReadBody {
    /// What it says in JSON.
    ///
    /// # Errors
    /// When it is no JSON, or says something else.
    pub(super) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        // A list would be taken for the fields in their order.
        if self.bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Failure::bad("the body is no JSON object"));
        }
        serde_json::from_slice(&self.bytes).map_err(|error| {
            let failure = Failure::bad(format!("the JSON: {error}"));
            // Read again for the field: to follow it costs time, which only a wrong request shall take.
            let parser = &mut serde_json::Deserializer::from_slice(&self.bytes);
            match serde_path_to_error::deserialize::<_, T>(parser).err().map(|error| error.path().to_string()) {
                Some(path) if path != "." => failure.about(path),
                _ => failure,
            }
        })
    }
}

impl BodyLimits {
    pub(super) fn new(most: usize, patience: Duration) -> Self {
        let room = Arc::new(Semaphore::new((most / UNIT + 1) * BODIES));
        Self { most, patience, room }
    }

    /// Longest body in bytes.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Reads a body. Room is taken for what has come, not for what is claimed.
    ///
    /// # Errors
    /// When it is too long, takes too long, ends too early, or there is no room beside the others.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<ReadBody, Failure> {
        let claimed = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if claimed.is_some_and(|claimed| claimed > self.most as u64) {
            return Err(self.too_long());
        }
        timeout(self.patience, self.read_patiently(body)).await.unwrap_or_else(|_| {
            let message = format!("the body did not come within {} s (--patience)", self.patience.as_secs_f64());
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, message))
        })
    }

    async fn read_patiently(&self, body: Body) -> Result<ReadBody, Failure> {
        let mut body = std::pin::pin!(body);
        let mut bytes = Vec::new();
        let mut room = Room { free: self.room.clone(), held: None };
        while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
            let frame = frame.map_err(|_| Failure::bad("the body ended before all of it had come"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > self.most {
                return Err(self.too_long());
            }
            bytes.extend_from_slice(&data);
            room.hold(bytes.len())?;
        }
        Ok(ReadBody { bytes, room })
    }

    fn too_long(&self) -> Failure {
        let message = format!(
            "the body is longer than --max-size {}; send less at once, or start the server with a larger --max-size",
            self.most
        );
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_bounded_one_by_one_and_together() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let limits = BodyLimits::new(UNIT, Duration::from_secs(5));
        let read = |length: usize, claimed: Option<&str>| {
            let mut headers = HeaderMap::new();
            claimed.map(|claimed| headers.insert(CONTENT_LENGTH, claimed.parse().unwrap()));
            let read = runtime.block_on(limits.read(&headers, Body::from(vec![b'x'; length])));
            read.map_err(|failure| failure.status.as_u16())
        };
        assert_eq!(read(UNIT, None).map(|read| read.bytes.len()), Ok(UNIT));
        assert_eq!(read(UNIT + 1, None).err(), Some(413));
        assert_eq!(read(0, Some("10000000000")).err(), Some(413));
        let held: Vec<_> = (0..2 * BODIES).map_while(|_| read(UNIT, None).ok()).collect();
        assert!(held.len() == 2 * BODIES, "{}", held.len());
        assert_eq!(read(1, None).err(), Some(429));
        drop(held);
        let mut one = read(1, None).unwrap();
        assert!(one.room.hold(2 * UNIT * BODIES).is_ok() && one.room.hold(2 * UNIT * BODIES + 1).is_err());
        assert_eq!(read(1, None).err(), Some(429));
        drop(one);
        assert!(read(1, None).is_ok());
    }
}
