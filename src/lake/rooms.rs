//! What room are the bytes of files read into?
//!
//! A scan reads megabytes at a time and lets go of them soon after. Fresh memory for each read is cleared by the system when it is first
//! written, which takes several times as long as copying the bytes there, so rooms are given back here and used again.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Mutex;

use bytes::Bytes;

/// Rooms have sizes of this many bytes, or twice, four times … of it, so that one fits the next read too.
const LEAST: usize = 64 * 1024;

/// The most bytes of rooms that are kept for later.
const KEPT: usize = 48 << 20;

static ROOMS: Mutex<Rooms> = Mutex::new(Rooms { free: Vec::new(), bytes: 0 });

/// Rooms that nobody is in.
#[derive(Debug)]
struct Rooms {
    free: Vec<Box<[u8]>>,
    bytes: usize,
}

/// Bytes of a file, in a room that is given back when nobody reads them any more.
#[derive(Debug)]
struct Lent {
    room: Box<[u8]>,
    len: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let room = std::mem::take(&mut self.room);
        let mut rooms = ROOMS.lock().expect("no holder panics");
        if rooms.bytes + room.len() <= KEPT {
            rooms.bytes += room.len();
            rooms.free.push(room);
        }
    }
}

/// A room for so many bytes, with whatever was in it before.
fn room(len: usize) -> Box<[u8]> {
    let size = len.max(LEAST).next_power_of_two();
    let mut rooms = ROOMS.lock().expect("no holder panics");
    // The last that was given back is the likeliest to be in the processor's memory.
    if let Some(at) = rooms.free.iter().rposition(|room| room.len() == size) {
        rooms.bytes -= size;
        return rooms.free.swap_remove(at);
    }
    drop(rooms);
    vec![0; size].into_boxed_slice()
}

/// The bytes of a part of a file.
///
/// # Errors
///
/// Those of reading, and [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the file ends before the part does.
#[cfg(unix)]
pub(super) fn read(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    use std::os::unix::fs::FileExt;

    let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    if len < LEAST {
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, range.start)?;
        return Ok(bytes.into());
    }
    let mut lent = Lent { room: room(len), len };
    file.read_exact_at(&mut lent.room[..len], range.start)?;
    Ok(Bytes::from_owner(lent))
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_room_is_used_again_and_shows_nothing_of_before() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
        file.write_all(&content).unwrap();
        for range in [0..300_000, 5..299_000, 100_000..165_536, 0..0, 7..8, 299_999..300_000] {
            let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            let read = read(&file, &range).unwrap();
            let part = read.slice(..read.len() / 2);
            assert_eq!(read, &content[from..to]);
            drop(read);
            assert_eq!(part, &content[from..from + (to - from) / 2], "a part keeps the room");
        }
        let beyond = read(&file, &(200_000..300_001)).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    }
}
