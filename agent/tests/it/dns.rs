//! The zone's own servers, as the authority asks them: TXT records from memory.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record, RecordType};

use super::bed::Space;
use super::guests::within;

/// What is published, and whether the servers are well.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    values: Vec<(String, String)>,
    broken: bool,
    asked: u32,
}

impl Records {
    /// Serves them on a port of a namespace's loopback, by TCP, which is how Pebble asks. Ends with the test.
    pub fn serve(&self, space: &Space, port: u16) {
        let listener = within(space, move || TcpListener::bind(("127.0.0.1", port)).unwrap());
        let records = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let records = records.clone();
                std::thread::spawn(move || records.converse(stream));
            }
        });
    }

    fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question)?;
            let reply = self.reply(&question).unwrap_or_default();
            stream.write_all(&u16::try_from(reply.len()).unwrap().to_be_bytes())?;
            stream.write_all(&reply)?;
        }
    }

    pub fn publish(&self, name: &str, value: &str) {
        self.0
            .lock()
            .unwrap()
            .values
            .push((format!("{name}."), value.to_owned()));
    }

    pub fn withdraw(&self, value: &str) {
        self.0.lock().unwrap().values.retain(|(_, known)| known != value);
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().values.len()
    }

    /// How often a TXT was asked for.
    pub fn asked(&self) -> u32 {
        self.0.lock().unwrap().asked
    }

    pub fn break_down(&self, broken: bool) {
        self.0.lock().unwrap().broken = broken;
    }

    fn reply(&self, question: &[u8]) -> Option<Vec<u8>> {
        let asked = Message::from_vec(question).ok()?;
        let query = asked.queries.first()?.clone();
        let mut state = self.0.lock().unwrap();
        let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
        reply.metadata.authoritative = true;
        if query.query_type() == RecordType::TXT {
            state.asked += 1;
            if state.broken {
                reply.metadata.response_code = ResponseCode::ServFail;
            }
            let name = query.name().to_ascii().to_lowercase();
            let values = state
                .values
                .iter()
                .filter(|(known, _)| *known == name && !state.broken);
            for (_, value) in values {
                let data = RData::TXT(TXT::new(vec![value.clone()]));
                reply.add_answer(Record::from_rdata(query.name().clone(), 1, data));
            }
        }
        reply.add_query(query);
        reply.to_vec().ok()
    }
}
