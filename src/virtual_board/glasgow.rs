//! The protocol of Glasgow's probe-rs applet: COBS frames, a root target and an SWD target.
//!
//! [probe-rs 0.32, probe/glasgow/{mod,mux,proto}.rs; virtual-board notes, "Glasgow server rules learned"] Three rules
//! are ours to keep: after the first transfer that is not taken no more replies for that frame; the sticky error is cleared
//! for the driver; a pulled cable is "no acknowledge", never a closed socket, which stock probe-rs spins on for ever.

use super::{
    port::{Answer, Request},
    slot::{REFERENCE_HZ, Slot},
};

const ROOT: u8 = 0;
const SWD: u8 = 1;
const IDENTITY: &[u8] = b"probe-rs,v01";
/// The most one frame may hold; a client that sends more is not one.
const FRAME_LIMIT: usize = 1 << 20;

/// One client's side of the protocol: bytes in, bytes out.
#[derive(Default)]
pub(super) struct Link {
    queue: Vec<u8>,
    root: Vec<u8>,
    swd: Vec<u8>,
    hopeless: bool,
}

impl Link {
    /// Takes what arrived, does it to the slot, and returns what to send. Never fails: bytes that are no frame are
    /// dropped up to the next one.
    pub(super) fn hear(&mut self, bytes: &[u8], slot: &mut Slot) -> Vec<u8> {
        let mut replies = Vec::new();
        for &byte in bytes {
            if byte != 0 {
                self.hopeless |= self.queue.len() >= FRAME_LIMIT;
                if !self.hopeless {
                    self.queue.push(byte);
                }
                continue;
            }
            let frame = std::mem::take(&mut self.queue);
            if !std::mem::take(&mut self.hopeless)
                && let Some(packet) = unstuffed(&frame)
            {
                self.packet(&packet, slot, &mut replies);
            }
        }
        replies
    }

    fn packet(&mut self, packet: &[u8], slot: &mut Slot, replies: &mut Vec<u8>) {
        let Some((target, data)) = packet.split_first() else { return };
        let answer = match *target {
            ROOT => {
                self.root.extend_from_slice(data);
                self.answer_root(slot)
            }
            SWD => {
                self.swd.extend_from_slice(data);
                self.answer_swd(slot)
            }
            _ => return,
        };
        if !answer.is_empty() {
            let mut packet = vec![*target];
            packet.extend_from_slice(&answer);
            replies.extend_from_slice(&stuffed(&packet));
        }
    }

    fn answer_root(&mut self, slot: &mut Slot) -> Vec<u8> {
        let mut answer = Vec::new();
        let mut left = self.root.as_slice();
        while let Some((command, rest)) = left.split_first() {
            left = rest;
            match command {
                0x00 => answer.extend_from_slice(IDENTITY),
                0x10 => answer.extend_from_slice(&REFERENCE_HZ.to_le_bytes()),
                0x11 => answer.extend_from_slice(&slot.divisor().to_le_bytes()),
                0x12 => {
                    let Some((divisor, rest)) = rest.split_first_chunk() else {
                        self.root = [&[0x12], rest].concat();
                        return answer;
                    };
                    slot.set_divisor(u16::from_le_bytes(*divisor));
                    left = rest;
                }
                0x20 => slot.hold_reset(true),
                0x21 => slot.hold_reset(false),
                _ => {}
            }
        }
        self.root.clear();
        answer
    }

    fn answer_swd(&mut self, slot: &mut Slot) -> Vec<u8> {
        let mut answer = Vec::new();
        let mut transfers = Vec::new();
        let bytes = std::mem::take(&mut self.swd);
        let mut left = bytes.as_slice();
        while let Some((&command, rest)) = left.split_first() {
            let is_sequence = command & 0x20 != 0;
            let reads = !is_sequence && command & 2 != 0;
            let Some((data, after)) = payload(rest, reads) else {
                self.swd = left.to_vec();
                break;
            };
            left = after;
            if is_sequence {
                // What was queued before it happens before it.
                carry(slot, &mut transfers, &mut answer);
                let count = u32::from(command & 0x1F);
                slot.sequence(if count == 0 { 32 } else { count }, data.into());
            } else {
                let data = (!reads).then_some(data);
                transfers.push(Request { access_port: command & 1 != 0, address: command & 0xC, data });
            }
        }
        carry(slot, &mut transfers, &mut answer);
        answer
    }
}

/// A read carries nothing; everything else four bytes.
fn payload(rest: &[u8], reads: bool) -> Option<(u32, &[u8])> {
    if reads {
        return Some((0, rest));
    }
    let (word, after) = rest.split_first_chunk()?;
    Some((u32::from_le_bytes(*word), after))
}

fn carry(slot: &mut Slot, transfers: &mut Vec<Request>, answer: &mut Vec<u8>) {
    let transfers = std::mem::take(transfers);
    for (reply, request) in slot.frame(&transfers).iter().zip(&transfers) {
        match (reply, request.data) {
            (Answer::Ok(value), None) => {
                answer.push(0x01);
                answer.extend_from_slice(&value.to_le_bytes());
            }
            (Answer::Ok(_), Some(_)) => answer.push(0x11),
            (Answer::Wait, _) => answer.push(0x12),
            (Answer::Fault, _) => answer.push(0x14),
            (Answer::Silence, _) => answer.push(0x27),
            (Answer::Nonsense, _) => answer.push(0x25),
        }
    }
}

/// Consistent overhead byte stuffing, with the closing zero.
fn stuffed(packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(packet.len() + packet.len() / 254 + 2);
    let mut ended_full = false;
    for run in packet.split(|byte| *byte == 0) {
        let mut chunks = run.chunks(254).peekable();
        if chunks.peek().is_none() {
            frame.push(1);
        }
        ended_full = false;
        while let Some(chunk) = chunks.next() {
            frame.push(u8::try_from(chunk.len() + 1).unwrap_or(u8::MAX));
            frame.extend_from_slice(chunk);
            ended_full = chunk.len() == 254 && chunks.peek().is_none();
            if ended_full {
                // A full group implies no zero: an empty group says there is one, or that the packet ends.
                frame.push(1);
            }
        }
    }
    if ended_full {
        frame.pop();
    }
    frame.push(0);
    frame
}

/// `None` if the lengths do not fit.
fn unstuffed(frame: &[u8]) -> Option<Vec<u8>> {
    let mut packet = Vec::with_capacity(frame.len());
    let mut left = frame;
    while let Some((&code, rest)) = left.split_first() {
        let length = usize::from(code).checked_sub(1)?;
        let (run, after) = rest.split_at_checked(length)?;
        packet.extend_from_slice(run);
        if code != u8::MAX && !after.is_empty() {
            packet.push(0);
        }
        left = after;
    }
    Some(packet)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::virtual_board::{Board, Latch, Silicon};

    fn slot() -> Slot {
        Slot::with(Board::new(Silicon::Old, Latch::Strict, 7))
    }

    proptest! {
        #[test]
        fn a_packet_comes_out_of_its_frame_as_it_went_in(packet in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 1..1200)) {
            let frame = stuffed(&packet);
            prop_assert_eq!(frame.iter().position(|byte| *byte == 0), Some(frame.len() - 1));
            prop_assert_eq!(unstuffed(&frame[..frame.len() - 1]), Some(packet));
        }

        #[test]
        fn a_client_that_sends_anything_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let (mut link, mut slot) = (Link::default(), slot());
            link.hear(&bytes, &mut slot);
            link.hear(&[0], &mut slot);
            let mut fresh = Link::default();
            prop_assert!(!fresh.hear(&stuffed(&[ROOT, 0]), &mut slot).is_empty());
        }
    }

    #[test]
    fn long_runs_without_zeros_keep_their_length() {
        for length in [253, 254, 255, 507, 508, 509] {
            for end in [&[][..], &[0], &[0, 0], &[5]] {
                let packet = [vec![7; length], end.to_vec()].concat();
                let frame = stuffed(&packet);
                assert_eq!(unstuffed(&frame[..frame.len() - 1]).unwrap(), packet, "{length} {end:?}");
            }
        }
    }

    #[test]
    fn a_transfer_that_is_not_taken_ends_the_frame() {
        let (mut link, mut slot) = (Link::default(), slot());
        // No line reset yet: nobody listens. Three reads, one answer.
        let reply = link.hear(&stuffed(&[SWD, 2, 2, 2]), &mut slot);
        assert_eq!(unstuffed(&reply[..reply.len() - 1]), Some(vec![SWD, 0x27]));
    }

    #[test]
    fn a_command_may_arrive_in_pieces() {
        let (mut link, mut slot) = (Link::default(), slot());
        let ones = [0x20, 0xFF, 0xFF, 0xFF, 0xFF];
        link.hear(&stuffed(&[&[SWD], &ones[..3]].concat()), &mut slot);
        link.hear(&stuffed(&[&[SWD], &ones[3..], &ones[..]].concat()), &mut slot);
        let reply = link.hear(&stuffed(&[SWD, 2]), &mut slot);
        assert_eq!(unstuffed(&reply[..reply.len() - 1]), Some(vec![SWD, 0x01, 0x77, 0x14, 0xA0, 0x2B]));
    }
}
