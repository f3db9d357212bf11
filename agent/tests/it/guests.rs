//! What runs in machines and elsewhere: sshd, echoes, web servers. And how a client calls.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::process::{Launch, Process};

use super::bed::{LIMIT, Space, enter};

/// How long a call may take that should not get through.
pub const SHORT: Duration = Duration::from_millis(700);

/// Answers each line on a TCP port with the caller's address. Ends with the test.
pub fn tcp_echo(space: &Space, port: u16) {
    let listener = within(space, move || {
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap()
    });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || echo(stream));
        }
    });
}

fn echo(stream: io::Result<TcpStream>) -> io::Result<()> {
    let mut stream = stream?;
    stream.write_all(format!("{}\n", stream.peer_addr()?.ip()).as_bytes())?;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

/// Answers each datagram with itself. Ends with the test.
pub fn udp_echo(space: &Space, port: u16) {
    let socket = within(space, move || {
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap()
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..n], from);
        }
    });
}

/// Opens something in a namespace; it can be used from anywhere.
pub fn within<T: Send + 'static>(space: &Space, open: impl FnOnce() -> T + Send + 'static) -> T {
    let space = space.0.clone();
    std::thread::spawn(move || {
        enter(&space);
        open()
    })
    .join()
    .unwrap()
}

/// A TCP connection from a namespace, with the line that its other end began with.
pub struct Call {
    pub stream: TcpStream,
    pub seen_as: String,
}

impl Call {
    /// Calls.
    pub fn to(space: &Space, address: SocketAddrV4, limit: Duration) -> io::Result<Self> {
        let mut stream = within(space, move || TcpStream::connect_timeout(&address.into(), limit))?;
        stream.set_read_timeout(Some(limit))?;
        let mut line = Vec::new();
        let mut byte = [0];
        while byte != *b"\n" {
            stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        let seen_as = String::from_utf8_lossy(&line).trim().to_owned();
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self { stream, seen_as })
    }

    /// Says something and hears it back.
    pub fn talk(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())?;
        let mut heard = vec![0; text.len()];
        self.stream.read_exact(&mut heard)?;
        if heard == text.as_bytes() {
            Ok(())
        } else {
            Err(io::Error::other("heard something else"))
        }
    }
}

/// Sends a datagram from a namespace and waits for its echo.
pub fn udp_call(space: &Space, address: SocketAddrV4, limit: Duration) -> io::Result<()> {
    udp_ask(&udp_line(space, address, limit)?)
}

/// A socket for datagrams to an address: all that it sends is one connection to the kernel.
pub fn udp_line(space: &Space, address: SocketAddrV4, limit: Duration) -> io::Result<UdpSocket> {
    let socket = within(space, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    socket.set_read_timeout(Some(limit))?;
    socket.connect(address)?;
    Ok(socket)
}

/// Sends a datagram and awaits its echo.
pub fn udp_ask(socket: &UdpSocket) -> io::Result<()> {
    socket.send(b"hello")?;
    let mut buffer = [0; 16];
    let n = socket.recv(&mut buffer)?;
    if &buffer[..n] == b"hello" {
        Ok(())
    } else {
        Err(io::Error::other("heard something else"))
    }
}

/// A machine's sshd, with host keys of its own and one user's key.
pub struct Sshd {
    pub host_key: String,
    _process: Process,
}

impl Sshd {
    /// Starts it in a folder.
    pub async fn start(space: &Space, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        let (key, config) = (folder.join("host"), folder.join("config"));
        if !key.exists() {
            keygen(&key);
        }
        let user = folder.parent().unwrap().join("user");
        if !user.exists() {
            keygen(&user);
        }
        let text = format!(
            "HostKey {}\nListenAddress 0.0.0.0\nAuthorizedKeysFile {}.pub\nPidFile none\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\nUseDNS no\nPrintMotd no\n\
             PermitRootLogin prohibit-password\nMaxStartups 500\n",
            key.display(),
            user.display()
        );
        std::fs::write(&config, text).unwrap();
        let launch = Launch::new("sshd", "ip", folder)
            .args(["netns", "exec", &space.0, "/usr/sbin/sshd", "-D", "-e", "-f"])
            .arg(&config);
        let process = Process::start(launch).await.unwrap();
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let host_key = public.split(' ').take(2).collect::<Vec<_>>().join(" ");
        Self {
            host_key,
            _process: process,
        }
    }
}

fn keygen(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status();
    assert!(made.unwrap().success());
}

/// The ssh line of a client for a public port, with the user's key from this folder and one known host.
pub fn ssh_line(folder: &Path, port: u16, known_key: &str, command: &str) -> String {
    let known = folder.join(format!("known-{port}"));
    std::fs::write(&known, format!("[{}]:{port} {known_key}\n", super::bed::PUBLIC)).unwrap();
    format!(
        "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={} \
         -o ConnectTimeout=5 -o LogLevel=ERROR -i {} -p {port} root@{} {command}",
        known.display(),
        folder.join("user").display(),
        super::bed::PUBLIC,
    )
}
