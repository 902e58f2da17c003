//! Everything that reads foreign bytes, each with what must hold whatever the bytes are.

mod boot;
mod chats;
mod fastpath;
mod files;
mod grammars;
mod kernel;
mod messages;
mod models;
mod programs;

use super::Target;

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "kernel", run: kernel::run, seeds: kernel::seeds, most_bytes: 2048 },
    Target { name: "fastpath", run: fastpath::run, seeds: fastpath::seeds, most_bytes: 1024 },
    Target { name: "supervisor", run: messages::supervisor, seeds: messages::supervisor_seeds, most_bytes: abi::MAX_MESSAGE + 1 },
    Target { name: "memory", run: messages::memory, seeds: messages::memory_seeds, most_bytes: abi::MAX_MESSAGE + 1 },
    Target { name: "console", run: messages::console, seeds: messages::console_seeds, most_bytes: abi::MAX_MESSAGE + 1 },
    Target { name: "vfs", run: messages::vfs, seeds: messages::vfs_seeds, most_bytes: abi::MAX_MESSAGE + 1 },
    Target { name: "inference", run: messages::inference, seeds: messages::inference_seeds, most_bytes: abi::MAX_MESSAGE + 1 },
    Target { name: "victim", run: messages::victim, seeds: messages::victim_seeds, most_bytes: abi::MAX_MESSAGE + 1 },
    Target { name: "requests", run: files::requests, seeds: files::request_seeds, most_bytes: 2048 },
    Target { name: "paths", run: files::paths, seeds: files::path_seeds, most_bytes: 1024 },
    Target { name: "cpio", run: files::cpio, seeds: files::cpio_seeds, most_bytes: 4096 },
    Target { name: "elf", run: programs::elf, seeds: programs::elf_seeds, most_bytes: posix::elf::HEAD_BYTES },
    Target { name: "archive", run: boot::archive, seeds: boot::archive_seeds, most_bytes: 6 * 4096 },
    Target { name: "image", run: boot::image, seeds: boot::image_seeds, most_bytes: 4096 },
    Target { name: "manifest", run: boot::manifest, seeds: boot::manifest_seeds, most_bytes: 2048 },
    Target { name: "gguf", run: models::gguf, seeds: models::gguf_seeds, most_bytes: 2048 },
    Target { name: "adapter", run: models::adapter, seeds: models::adapter_seeds, most_bytes: 4096 },
    Target { name: "chat", run: chats::chat, seeds: chats::chat_seeds, most_bytes: 512 },
    Target { name: "words", run: chats::words, seeds: chats::words_seeds, most_bytes: 1024 },
    Target { name: "grammar", run: grammars::grammar, seeds: grammars::grammar_seeds, most_bytes: 1024 },
    Target { name: "schema", run: grammars::schema, seeds: grammars::schema_seeds, most_bytes: 1024 },
    Target { name: "options", run: boot::options, seeds: boot::option_seeds, most_bytes: 512 },
];
