//! Sites with boards in them, each served as a Glasgow probe, and a way to take boards out and put them in.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{
    board::{Board, Latch, Silicon},
    control::{Deed, Order, Report},
    glasgow::Link,
    lot::Lot,
    slot::{Shared, Slot, lock},
    uart::Uart,
};
use crate::{
    clock::Clock,
    fault::{Exit, Fault, Party},
    ident::DeviceId,
};

/// What an address of a unix socket may be long, with its closing zero. [unix(7)]
const SOCKET_PATH_MAX: usize = 108;
/// How often a site is looked after while nothing comes in.
const TICK: Duration = Duration::from_millis(10);
/// So many ticks without a transfer, and the host is taken to be waiting for the UART.
const QUIET_TICKS: u32 = 3;
/// How far a running CPU is let ahead in one tick, in nanoseconds: emulating it is slower than it is.
const CATCH_UP_NS: u64 = 2_000_000;
const ORDER_LIMIT: u64 = 1 << 20;
const GLASGOW: &str = "20b7:9db1";

/// How simulated time and the clock on the wall go together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pace {
    /// As fast as it can.
    Fast,
    /// No faster than silicon, and no slower while nothing is going on.
    Silicon,
}

/// What to serve.
pub struct Setup {
    /// Where sockets and serial lines appear; made if absent.
    pub folder: PathBuf,
    /// Where the count of fresh boards is kept, so that none repeats an earlier one's id; in `folder` if absent.
    pub count: Option<PathBuf>,
    /// How many sites: `left` and `right` for two, else `site-1` and so on.
    pub sites: usize,
    /// Which boards come fresh.
    pub silicon: Silicon,
    /// Which resets they heed.
    pub latch: Latch,
    /// Decides their identifiers.
    pub seed: u64,
    /// The first TCP port, on the loopback; the others follow.
    pub tcp: Option<u16>,
    /// How fast.
    pub pace: Pace,
    /// How long a frame takes there and back, in nanoseconds of simulated time.
    pub round_trip_ns: u64,
}

/// A row of sites that answer until this is dropped.
pub struct Bench {
    room: Arc<Room>,
    threads: Vec<JoinHandle<()>>,
    /// The listeners once more, to wake those who wait at them.
    doors: Vec<Client>,
}

impl Bench {
    /// Starts a thread and a socket per site, and one more of each for orders.
    ///
    /// # Errors
    /// A folder that cannot be used: too long for a socket, not writable, or served by somebody else.
    pub fn serve(setup: &Setup, clock: &Arc<dyn Clock>) -> Result<Self, Fault> {
        std::fs::create_dir_all(&setup.folder).map_err(|error| no_folder(&setup.folder, &error))?;
        let count = setup.count.clone().unwrap_or_else(|| setup.folder.join("next-device"));
        let lot = Lot::new(setup.silicon, setup.latch, setup.seed).kept_in(count);
        let mut sites = Vec::new();
        let mut doors = Vec::new();
        for index in 0..setup.sites {
            let name = site_name(index, setup.sites);
            let socket = setup.folder.join(format!("{name}.sock"));
            let tcp = setup.tcp.map(|port| tcp_listener(port, index)).transpose()?;
            let port = tcp.as_ref().and_then(|listener| listener.local_addr().ok()).map(|at| at.port());
            doors.push((unix_listener(&socket)?, tcp));
            sites.push(Site::new(setup, name, socket, port, clock)?);
        }
        let orders = setup.folder.join("control.sock");
        let control = unix_listener(&orders)?;
        let room = Arc::new(Room {
            sites,
            lot,
            shelf: Mutex::default(),
            orders: orders.clone(),
            pace: setup.pace,
            clock: Arc::clone(clock),
            stop: AtomicBool::new(false),
            clients: Mutex::default(),
        });
        let mut bench = Self { room, threads: Vec::new(), doors: vec![Client::door(&control, &orders)?] };
        for (index, (unix, tcp)) in doors.into_iter().enumerate() {
            bench.doors.push(Client::door(&unix, &setup.folder)?);
            bench.spawn(move |room| room.receive(index, || unix.accept().map(|(client, _)| Client::Unix(client))));
            if let Some(tcp) = tcp {
                bench.doors.push(Client::tcp_door(&tcp, &setup.folder)?);
                bench.spawn(move |room| room.receive(index, || tcp.accept().map(|(client, _)| Client::Tcp(client))));
            }
        }
        bench.spawn(move |room| room.take_orders(&control));
        bench.spawn(|room| room.tend());
        Ok(bench)
    }

    /// The names of the sites, in order.
    #[must_use]
    pub fn sites(&self) -> Vec<String> {
        self.room.sites.iter().map(|site| site.name.clone()).collect()
    }

    /// How probe-rs finds a site's probe.
    #[must_use]
    pub fn selector(&self, site: &str) -> Option<String> {
        self.room.site(site).map(|site| format!("{GLASGOW}:unix:{}", site.socket.display()))
    }

    /// The same over TCP, if that was asked for.
    #[must_use]
    pub fn tcp_selector(&self, site: &str) -> Option<String> {
        self.room.site(site)?.port.map(|port| format!("{GLASGOW}:tcp:{}:{port}", Ipv4Addr::LOCALHOST))
    }

    /// The serial line of a site.
    #[must_use]
    pub fn uart(&self, site: &str) -> Option<PathBuf> {
        self.room.site(site).map(|site| site.serial.clone())
    }

    /// The slot of a site, for a test that looks at the board itself.
    #[must_use]
    pub fn slot(&self, site: &str) -> Option<Shared> {
        self.room.site(site).map(|site| Arc::clone(&site.slot))
    }

    /// Puts in a board that was made for this, and hands back the one that was there.
    #[expect(clippy::must_use_candidate, reason = "putting it in is the point")]
    pub fn place(&self, site: &str, board: Board) -> Option<Board> {
        lock(&self.room.site(site)?.slot).insert(board)
    }

    /// Does it, and says how the site stands then.
    ///
    /// # Errors
    /// In words, what was wrong with the order.
    pub fn order(&self, order: &Order) -> Result<Report, String> {
        self.room.obey(order)
    }

    fn spawn(&mut self, work: impl FnOnce(&Arc<Room>) + Send + 'static) {
        let room = Arc::clone(&self.room);
        self.threads.push(std::thread::spawn(move || work(&room)));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.room.stop.store(true, Ordering::Relaxed);
        for client in self.room.clients().values() {
            client.hang_up();
        }
        for door in &self.doors {
            door.hang_up();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        for site in &self.room.sites {
            let _ = std::fs::remove_file(&site.socket);
            let _ = std::fs::remove_file(&site.serial);
        }
        let _ = std::fs::remove_file(&self.room.orders);
    }
}

struct Site {
    name: String,
    slot: Shared,
    socket: PathBuf,
    serial: PathBuf,
    port: Option<u16>,
    uart: Uart,
    pacer: Mutex<Pacer>,
}

/// A moment that both clocks agree on.
struct Pacer {
    wall_ms: u64,
    simulated_ns: u64,
}

impl Site {
    fn new(
        setup: &Setup,
        name: String,
        socket: PathBuf,
        port: Option<u16>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        let uart = Uart::new().map_err(|error| no_folder(&setup.folder, &error))?;
        let serial = setup.folder.join(format!("{name}.uart"));
        let _ = std::fs::remove_file(&serial);
        std::os::unix::fs::symlink(uart.path(), &serial).map_err(|error| no_folder(&setup.folder, &error))?;
        let mut slot = Slot::empty();
        slot.set_round_trip(setup.round_trip_ns);
        let pacer = Mutex::new(Pacer { wall_ms: clock.since_start().0, simulated_ns: 0 });
        Ok(Self { name, slot: slot.shared(), socket, serial, port, uart, pacer })
    }

    fn report(&self) -> Report {
        let slot = lock(&self.slot);
        let board = slot.board();
        Report {
            site: self.name.clone(),
            device: board.and_then(Board::device_id),
            powered: board.is_some_and(Board::is_powered),
            open: board.is_some_and(Board::is_open),
            approtect: board.map(Board::approtect_word),
            boots: board.and_then(|board| board.would_boot().ok()),
            violations: board.map(Board::violations).unwrap_or_default().iter().map(|it| format!("{it:?}")).collect(),
            counters: slot.counters(),
        }
    }

    /// How long the wall clock has to go to be where simulated time already is.
    fn ahead(&self, wall_ms: u64) -> Duration {
        let simulated = lock(&self.slot).counters().simulated_ns;
        let pacer = self.pacer.lock().unwrap_or_else(PoisonError::into_inner);
        let simulated = simulated.saturating_sub(pacer.simulated_ns);
        Duration::from_nanos(simulated.saturating_sub(wall_ms.saturating_sub(pacer.wall_ms) * 1_000_000))
    }

    /// Lets simulated time catch up with the wall clock, and starts counting anew from there.
    fn catch_up(&self, wall_ms: u64) {
        let mut slot = lock(&self.slot);
        let mut pacer = self.pacer.lock().unwrap_or_else(PoisonError::into_inner);
        let simulated = slot.counters().simulated_ns;
        let wall_ns = wall_ms.saturating_sub(pacer.wall_ms) * 1_000_000;
        let Some(behind) = wall_ns.checked_sub(simulated.saturating_sub(pacer.simulated_ns)) else { return };
        let computes = slot.board().is_some_and(Board::is_computing);
        slot.rest(if computes { behind.min(CATCH_UP_NS) } else { behind });
        *pacer = Pacer { wall_ms, simulated_ns: slot.counters().simulated_ns };
    }
}

struct Room {
    sites: Vec<Site>,
    lot: Lot,
    shelf: Mutex<BTreeMap<DeviceId, Board>>,
    orders: PathBuf,
    pace: Pace,
    clock: Arc<dyn Clock>,
    stop: AtomicBool,
    clients: Mutex<BTreeMap<u64, Client>>,
}

impl Room {
    fn site(&self, name: &str) -> Option<&Site> {
        self.sites.iter().find(|site| site.name == name)
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<u64, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Board>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Each client has a thread of its own: one that hangs must not keep the next from its board.
    fn receive(self: &Arc<Self>, site: usize, mut next: impl FnMut() -> std::io::Result<Client>) {
        let mut number = 0;
        while let Ok(client) = next() {
            if self.is_over() {
                return;
            }
            number += 1;
            let key = u64::try_from(site).unwrap_or(0) << 48 | u64::from(client.is_tcp()) << 40 | number;
            let Some(second) = client.again() else { continue };
            self.clients().insert(key, second);
            let room = Arc::clone(self);
            std::thread::spawn(move || {
                room.talk(site, client);
                room.clients().remove(&key);
            });
        }
    }

    fn talk(&self, site: usize, mut client: Client) {
        let Some(site) = self.sites.get(site) else { return };
        let mut link = Link::default();
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = client.read(&mut bytes) {
            let heard = bytes.get(..count).unwrap_or_default();
            let reply = link.hear(heard, &mut lock(&site.slot));
            site.uart.send(&lock(&site.slot).take_printed());
            if self.pace == Pace::Silicon {
                self.clock.sleep(site.ahead(self.clock.since_start().0));
            }
            if client.write_all(&reply).is_err() {
                return;
            }
        }
    }

    /// Looks after serial lines, and after time itself where it is not the host's to move.
    fn tend(&self) {
        let mut seen: Vec<(u64, u32)> = vec![(0, 0); self.sites.len()];
        while !self.is_over() {
            self.clock.sleep(TICK);
            for (site, (before, quiet)) in self.sites.iter().zip(&mut seen) {
                if self.pace == Pace::Silicon {
                    site.catch_up(self.clock.since_start().0);
                }
                let mut slot = lock(&site.slot);
                let now = slot.counters().transactions;
                *quiet = if now == *before { *quiet + 1 } else { 0 };
                *before = now;
                let waits = *quiet >= QUIET_TICKS && self.pace == Pace::Fast;
                let line = if waits { slot.take_uart() } else { slot.take_printed() };
                drop(slot);
                site.uart.send(&line);
            }
        }
    }

    fn take_orders(self: &Arc<Self>, door: &UnixListener) {
        while let Ok((client, _)) = door.accept() {
            if self.is_over() {
                return;
            }
            let room = Arc::clone(self);
            std::thread::spawn(move || room.converse(client));
        }
    }

    fn converse(&self, client: UnixStream) {
        let Ok(mut out) = client.try_clone() else { return };
        let mut lines = BufReader::new(client);
        loop {
            let mut line = Vec::new();
            let read = Read::by_ref(&mut lines).take(ORDER_LIMIT).read_until(b'\n', &mut line);
            if !matches!(read, Ok(1..)) || self.is_over() {
                return;
            }
            let reply = match serde_json::from_slice(&line) {
                Ok(order) => self.obey(&order),
                Err(error) => Err(format!("not an order: {error}")),
            };
            let reply = match reply {
                Ok(report) => serde_json::json!({ "ok": true, "report": report }),
                Err(error) => serde_json::json!({ "ok": false, "error": error }),
            };
            if writeln!(out, "{reply}").is_err() {
                return;
            }
        }
    }

    fn obey(&self, order: &Order) -> Result<Report, String> {
        let names = || self.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>().join(", ");
        let site = self.site(&order.site);
        let site = site.ok_or_else(|| format!("no site \"{}\"; there are: {}", order.site, names()))?;
        match order.deed {
            Deed::Insert => self.insert(site, order.device, false)?,
            Deed::Swap => self.insert(site, order.device, true)?,
            Deed::Remove => self.remove(site)?,
            Deed::PowerCycle => lock(&site.slot).power_cycle(),
            Deed::PinReset => lock(&site.slot).pin_reset(),
            Deed::Fault => lock(&site.slot).set_faults(order.faults.clone().unwrap_or_default()),
            Deed::Status | Deed::Counters => {}
        }
        Ok(site.report())
    }

    fn insert(&self, site: &Site, device: Option<DeviceId>, replaces: bool) -> Result<(), String> {
        if !replaces && lock(&site.slot).board().is_some() {
            return Err(format!("there is a board at {}; remove or swap it", site.name));
        }
        let board = match device {
            Some(device) => self.shelf().remove(&device).ok_or_else(|| format!("no board {device} on the shelf"))?,
            None => self.lot.fresh(),
        };
        let old = lock(&site.slot).insert(board);
        self.keep(old);
        Ok(())
    }

    fn remove(&self, site: &Site) -> Result<(), String> {
        let board = lock(&site.slot).remove();
        if board.is_none() {
            return Err(format!("there is no board at {}", site.name));
        }
        self.keep(board);
        Ok(())
    }

    fn keep(&self, board: Option<Board>) {
        if let Some((device, board)) = board.and_then(|board| board.device_id().map(|device| (device, board))) {
            self.shelf().insert(device, board);
        }
    }
}

enum Client {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Client {
    /// A listening socket under another name: shutting it down wakes who waits for it.
    fn door(listener: &UnixListener, path: &Path) -> Result<Self, Fault> {
        let again = listener.try_clone().map_err(|error| no_folder(path, &error))?;
        Ok(Self::Unix(OwnedFd::from(again).into()))
    }

    fn tcp_door(listener: &TcpListener, path: &Path) -> Result<Self, Fault> {
        let again = listener.try_clone().map_err(|error| no_folder(path, &error))?;
        Ok(Self::Tcp(OwnedFd::from(again).into()))
    }

    fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    fn again(&self) -> Option<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().ok().map(Self::Unix),
            Self::Tcp(stream) => {
                // Without this a reply waits 40 ms for an acknowledge that waits for the reply.
                stream.set_nodelay(true).ok()?;
                stream.try_clone().ok().map(Self::Tcp)
            }
        }
    }

    fn hang_up(&self) {
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(bytes),
            Self::Tcp(stream) => stream.read(bytes),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Unix(stream) => stream.write_all(bytes),
            Self::Tcp(stream) => stream.write_all(bytes),
        }
    }
}

fn site_name(index: usize, count: usize) -> String {
    match (count, index) {
        (2, 0) => "left".to_owned(),
        (2, _) => "right".to_owned(),
        _ => format!("site-{}", index + 1),
    }
}

fn unix_listener(path: &Path) -> Result<UnixListener, Fault> {
    let length = path.as_os_str().len();
    if length >= SOCKET_PATH_MAX {
        let most = SOCKET_PATH_MAX - 1;
        return Err(Fault::new(
            Party::Technician,
            format!("{} has {length} bytes; a socket's path may have {most}", path.display()),
            "Name a folder with a shorter path with --dir.",
        )
        .exit(Exit::Usage)
        .code("C-151"));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(Fault::new(
            Party::Technician,
            format!("{} is served by another process", path.display()),
            "Stop the other one, or serve from another folder.",
        )
        .exit(Exit::InUse)
        .code("C-152"));
    }
    // Left behind by one that was killed.
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path).map_err(|error| no_folder(path, &error))
}

fn tcp_listener(first: u16, index: usize) -> Result<TcpListener, Fault> {
    // Port 0 lets the system choose, for every site anew.
    let offset = if first == 0 { Some(0) } else { u16::try_from(index).ok() };
    let port = offset.and_then(|offset| first.checked_add(offset));
    let bound = port.ok_or_else(|| std::io::Error::other("there are no ports above 65535"));
    bound.and_then(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))).map_err(|error| {
        Fault::new(
            Party::Technician,
            format!("TCP port {first} for site {} cannot be used", index + 1),
            "Name another --tcp port.",
        )
        .exit(Exit::Usage)
        .code("C-153")
        .because(&error)
    })
}

fn no_folder(path: &Path, error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::new(
        Party::Technician,
        format!("no boards can be served from {}", path.display()),
        "Name a folder that can be written to with --dir.",
    )
    .exit(Exit::Usage)
    .code("C-150")
    .because(error)
}
