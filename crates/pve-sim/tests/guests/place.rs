//! Looking at the network from inside a namespace: connections, pings, listening. A thread enters and ends there.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recv, sendto, socket, sockopt};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How long an answer may take that is expected not to come.
const SILENCE: Duration = Duration::from_millis(800);

static PINGS: AtomicU16 = AtomicU16::new(1);

/// A network namespace by name.
#[derive(Clone, Debug)]
pub struct Place(pub String);

impl Place {
    /// Whether it is there.
    pub fn exists(&self) -> bool {
        std::path::Path::new("/run/netns").join(&self.0).exists()
    }

    fn inside<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let file = File::open(format!("/run/netns/{}", self.0)).unwrap();
        let enter = move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        };
        std::thread::spawn(enter).join().unwrap()
    }

    /// Whether a connection to this port can be made, or is refused by who is there: both are answers.
    pub fn tcp(&self, ip: Ipv4Addr, port: u16) -> bool {
        self.inside(
            move || match TcpStream::connect_timeout(&SocketAddrV4::new(ip, port).into(), SILENCE) {
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::ConnectionRefused,
            },
        )
    }

    /// Whether a ping is answered.
    pub fn ping(&self, ip: Ipv4Addr) -> bool {
        self.inside(move || {
            let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)).unwrap();
            sockopt::set_socket_timeout(&raw, sockopt::Timeout::Recv, Some(SILENCE)).unwrap();
            // Each is a connection of its own: one that exists would go on whatever the rules say now.
            let number = PINGS.fetch_add(1, Ordering::Relaxed);
            let ([sum, sum_low], [high, low]) = ((!(0x0800 + number)).to_be_bytes(), number.to_be_bytes());
            let request = [8, 0, sum, sum_low, high, low, 0, 0];
            if sendto(&raw, &request, SendFlags::empty(), &SocketAddrV4::new(ip, 0)).is_err() {
                return false;
            }
            let mut answer = [0; 128];
            // What else arrives (a host that can't be reached) is no answer.
            for _ in 0..8 {
                match recv(&raw, &mut answer, RecvFlags::empty()) {
                    Ok((length, _)) if length >= 28 && answer[20] == 0 && answer[12..16] == ip.octets() => {
                        return true;
                    }
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
            false
        })
    }

    /// The ports of these that answer, asked all at once.
    pub fn open_ports(&self, ip: Ipv4Addr, ports: &[u16]) -> Vec<u16> {
        std::thread::scope(|scope| {
            let asked = ports
                .iter()
                .map(|port| (*port, scope.spawn(|| self.tcp(ip, *port))));
            let asked: Vec<_> = asked.collect();
            let open = asked
                .into_iter()
                .filter_map(|(port, answer)| answer.join().unwrap().then_some(port));
            open.collect()
        })
    }

    /// What the web server at an address says.
    pub fn page(&self, ip: Ipv4Addr) -> String {
        self.inside(move || {
            let mut stream = TcpStream::connect((ip, 80)).unwrap();
            stream.set_read_timeout(Some(10 * SILENCE)).unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: guest\r\nconnection: close\r\n\r\n")
                .unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text.split_once("\r\n\r\n").unwrap().1.to_owned()
        })
    }

    /// Listens on a port.
    pub fn listen(&self, port: u16) -> TcpListener {
        self.inside(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap())
    }

    /// Runs a program inside to its end.
    pub fn run(&self, line: &str) -> Output {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).args(line.split(' '));
        command.output().unwrap()
    }
}
