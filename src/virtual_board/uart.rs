//! The board's serial line as a pseudo-terminal. As on a real line, what is sent while nobody listens is lost.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, fcntl_setfl, open},
    io::{Errno, read, write},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// The board's end of a serial line.
pub(super) struct Uart {
    end: OwnedFd,
    path: PathBuf,
}

impl Uart {
    pub(super) fn new() -> Result<Self, Errno> {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&end)?;
        unlockpt(&end)?;
        fcntl_setfl(&end, OFlags::NONBLOCK)?;
        let name = ptsname(&end, Vec::new())?;
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        // Opened and closed once, so that from now on the line knows whether somebody listens.
        drop(open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?);
        Ok(Self { end, path })
    }

    /// What a terminal program opens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sends to whoever listens. A line nobody reads overflows, and that is nobody's concern.
    pub(super) fn send(&self, bytes: &[u8]) {
        if bytes.is_empty() || !self.is_heard() {
            return;
        }
        // The settings of the line are forgotten whenever its last listener leaves.
        if let Ok(mut settings) = tcgetattr(&self.end) {
            settings.make_raw();
            let _ = tcsetattr(&self.end, OptionalActions::Now, &settings);
        }
        let mut left = bytes;
        while let Ok(count) = write(&self.end, left) {
            left = left.get(count..).unwrap_or_default();
            if left.is_empty() || count == 0 {
                return;
            }
        }
    }

    /// Reads away what was typed at the board, and learns whether there is another end.
    fn is_heard(&self) -> bool {
        let mut typed = [0; 256];
        loop {
            match read(&self.end, &mut typed) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error == Errno::AGAIN,
            }
        }
    }
}
