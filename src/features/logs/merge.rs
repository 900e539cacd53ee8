//! Several streams in the order of time, one waiting item of each in memory.

use futures::{Stream, StreamExt as _, future::join_all};
use jiff::Timestamp;

/// Puts streams together that are each in the order of time.
pub(super) struct Merge<S, T> {
    streams: Vec<S>,
    heads: Vec<Option<(Timestamp, T)>>,
}

impl<S, T> Merge<S, T>
where
    S: Stream<Item = (Option<Timestamp>, T)> + Unpin,
{
    /// Asks all streams at the same time for their first item.
    pub(super) async fn of(mut streams: Vec<S>) -> Self {
        let firsts = join_all(streams.iter_mut().map(|stream| stream.next())).await;
        let heads = firsts.into_iter().map(|first| {
            let (time, item) = first?;
            Some((time.unwrap_or(Timestamp::MIN), item))
        });
        Self {
            heads: heads.collect(),
            streams,
        }
    }

    /// The oldest item, with the index of its stream.
    ///
    /// An item without a time comes right after the one before it of its stream; where two are of one time,
    /// the stream named first goes first.
    pub(super) async fn next(&mut self) -> Option<(usize, T)> {
        let waiting = self.heads.iter().enumerate();
        let (_, index) = waiting
            .filter_map(|(index, head)| Some((head.as_ref()?.0, index)))
            .min()?;
        let (time, item) = self.heads[index].take()?;
        if let Some((next, following)) = self.streams[index].next().await {
            self.heads[index] = Some((next.unwrap_or(time), following));
        }
        Some((index, item))
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    async fn merged(streams: Vec<Vec<(Option<Timestamp>, &'static str)>>) -> Vec<&'static str> {
        let mut merge = Merge::of(streams.into_iter().map(stream::iter).collect()).await;
        let mut items = Vec::new();
        while let Some((_, item)) = merge.next().await {
            items.push(item);
        }
        items
    }

    #[tokio::test]
    async fn lines_of_all_services_come_in_the_order_of_time() {
        let order = vec![(at(1), "o1"), (at(4), "o4"), (at(5), "o5")];
        let cart = vec![(at(2), "c2"), (at(3), "c3"), (at(6), "c6")];
        let all = merged(vec![order, Vec::new(), cart]).await;
        assert_eq!(all, ["o1", "c2", "c3", "o4", "o5", "c6"]);
    }

    #[tokio::test]
    async fn the_parts_of_a_cut_line_stay_together_and_the_first_named_goes_first() {
        let order = vec![(at(2), "begin"), (None, "middle"), (None, "end")];
        let cart = vec![(at(2), "same time"), (at(3), "later")];
        let all = merged(vec![order, cart]).await;
        assert_eq!(all, ["begin", "middle", "end", "same time", "later"]);
    }

    #[tokio::test]
    async fn a_stream_that_goes_back_in_time_loses_nothing() {
        let order = vec![(at(3), "o3"), (at(2), "o2")];
        let cart = vec![(at(4), "c4")];
        assert_eq!(merged(vec![order, cart]).await, ["o3", "o2", "c4"]);
    }
}
