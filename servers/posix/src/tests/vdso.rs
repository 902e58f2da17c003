//! The vDSO as programs get it: its file, its pages, and what becomes of them.

use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Architecture, Endianness, Object, ObjectSymbol};

use crate::fake::harness::{DATA, System};
use crate::saved::slot;
use crate::vdso::clock::{BODY_OFFSET, ClockPage, Rate};
use crate::vdso::{ADDRESS, VVAR_ADDRESS, code, image};
use crate::vma::PAGE;

fn error(number: i64) -> Option<u64> {
    Some((-number) as u64)
}

fn clock_page(system: &mut System, lane: usize) -> (u32, Vec<u8>) {
    let bytes = system.peek(lane, VVAR_ADDRESS, 48);
    (u32::from_le_bytes(bytes[..4].try_into().unwrap()), bytes[BODY_OFFSET as usize..].to_vec())
}

fn expected_page(wall_offset_ns: u64) -> Vec<u8> {
    ClockPage { counter: true, processor: true, rate: Rate::new(1_000_000_000), wall_offset_ns }.body().to_vec()
}

#[test]
fn image_is_a_shared_object_with_versioned_functions() {
    let image = image::build(code::code(), code::entries());
    assert_eq!(image.len() as u64, PAGE);
    let file = object::File::parse(&*image).unwrap();
    assert_eq!((file.architecture(), file.kind()), (Architecture::X86_64, object::ObjectKind::Dynamic));
    let names: std::collections::BTreeSet<_> = file.dynamic_symbols().map(|symbol| symbol.name().unwrap().to_owned()).collect();
    let wanted = image::NAMES.iter().flat_map(|name| [(*name).to_owned(), format!("__vdso_{name}")]);
    assert_eq!(names, wanted.collect());
    for symbol in file.dynamic_symbols() {
        let name = symbol.name().unwrap();
        let short = name.strip_prefix("__vdso_").unwrap_or(name);
        let entry = code::entries()[image::NAMES.iter().position(|known| *known == short).unwrap()];
        assert_eq!(symbol.address(), image::TEXT_OFFSET as u64 + u64::from(entry.offset), "{name}");
        assert_eq!(symbol.is_weak(), !name.starts_with("__vdso_"), "{name}");
    }
}

#[test]
fn both_hash_tables_find_every_name_in_its_version() {
    type Header = object::elf::FileHeader64<Endianness>;
    let image = image::build(code::code(), code::entries());
    let header = Header::parse(&*image).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, &*image).unwrap();
    let symbols = sections.symbols(endian, &*image, object::elf::SHT_DYNSYM).unwrap();
    let versions = sections.versions(endian, &*image).unwrap().unwrap();
    let (hash, _) = sections.hash(endian, &*image).unwrap().unwrap();
    let (gnu_hash, _) = sections.gnu_hash(endian, &*image).unwrap().unwrap();
    for name in image::NAMES.iter().flat_map(|name| [(*name).to_owned(), format!("__vdso_{name}")]) {
        let hashed = object::elf::hash(name.as_bytes());
        let found = hash.find(endian, name.as_bytes(), hashed, None, &symbols, &versions).map(|(index, _)| index);
        let gnu = gnu_hash.find(endian, name.as_bytes(), object::elf::gnu_hash(name.as_bytes()), None, &symbols, &versions);
        assert_eq!(found, gnu.map(|(index, _)| index), "{name}");
        let version = versions.version(versions.version_index(endian, found.unwrap())).unwrap().unwrap();
        assert_eq!(version.name(), b"LINUX_2.6", "{name}");
    }
    let unknown = gnu_hash.find(endian, b"clock_settime", object::elf::gnu_hash(b"clock_settime"), None, &symbols, &versions);
    assert!(unknown.is_none());
    let segments = header.program_headers(endian, &*image).unwrap();
    let (dynamic, _) = segments.iter().find_map(|segment| segment.dynamic(endian, &*image).unwrap().map(|table| (table, ()))).unwrap();
    assert!(dynamic.iter().any(|entry| entry.tag32(endian) == Some(object::elf::DT_SONAME)));
}

#[test]
fn program_finds_it_where_it_is_told_and_in_its_maps() {
    let (mut system, lane) = System::start();
    assert_eq!(system.peek(lane, ADDRESS, PAGE as usize), image::build(code::code(), code::entries()));
    assert_eq!(clock_page(&mut system, lane).1, expected_page(1_700_000_000_000_000_000));
    let path = system.text(lane, 0, "/proc/self/maps");
    let file = system.call(lane, 2, [path, 0, 0, 0, 0, 0]).unwrap();
    let length = system.call(lane, 0, [file, DATA, 4096, 0, 0, 0]).unwrap();
    let maps = String::from_utf8(system.peek(lane, DATA, length as usize)).unwrap();
    let line = |name: &str| maps.lines().find(|line| line.ends_with(name)).unwrap_or_else(|| panic!("{name} in {maps}")).to_owned();
    assert!(line("[vvar]").starts_with(&format!("{VVAR_ADDRESS:x}-{ADDRESS:x} r--p 00000000 00:00 0 ")), "{maps}");
    assert!(line("[vdso]").starts_with(&format!("{ADDRESS:x}-{:x} r-xp 00000000 00:00 0 ", ADDRESS + PAGE)), "{maps}");
}

#[test]
fn nobody_writes_to_the_clock_and_a_fork_sees_it_go_on() {
    let (mut system, lane) = System::start();
    assert_eq!(system.call(lane, 10, [VVAR_ADDRESS, PAGE, 3, 0, 0, 0]), error(13), "mprotect");
    assert_eq!(system.call(lane, 63, [VVAR_ADDRESS, 0, 0, 0, 0, 0]), error(14), "uname into it");
    assert_eq!(system.call(lane, 25, [VVAR_ADDRESS, PAGE, 2 * PAGE, 1, 0, 0]), error(14), "mremap to something larger");
    let child = system.fork(lane);
    system.poke(lane, DATA, &[5u64.to_le_bytes(), 7u64.to_le_bytes()].concat());
    let before = clock_page(&mut system, lane).0;
    assert_eq!(system.call(lane, 227, [0, DATA, 0, 0, 0, 0]), Some(0));
    for lane in [lane, child] {
        let (sequence, body) = clock_page(&mut system, lane);
        assert!(sequence.is_multiple_of(2) && sequence != before);
        assert_eq!(body, expected_page(5_000_000_007 - 1_000_000));
    }
}

#[test]
fn program_may_change_its_own_copy_of_the_code_and_no_other() {
    let (mut system, lane) = System::start();
    let child = system.fork(lane);
    assert_eq!(system.call(child, 10, [ADDRESS, PAGE, 3, 0, 0, 0]), Some(0));
    system.poke(child, ADDRESS, b"changed");
    assert_eq!(system.peek(child, ADDRESS, 7), b"changed");
    assert_eq!(system.peek(lane, ADDRESS, 4), b"\x7fELF");
    assert_eq!(system.call(lane, 28, [VVAR_ADDRESS, 2 * PAGE, 4, 0, 0, 0]), Some(0), "madvise(MADV_DONTNEED)");
    assert_eq!(system.peek(lane, ADDRESS, 4), b"\x7fELF", "it comes back");
    assert_eq!(clock_page(&mut system, lane).1, expected_page(1_700_000_000_000_000_000));
}

#[test]
fn successor_finds_the_region_and_ends_a_change_that_was_begun() {
    let (mut system, lane) = System::start();
    let pages = system.machine.0.borrow().used_pages();
    for changing in [false, true] {
        if changing {
            let mut kernel = system.machine.clone();
            crate::kernel::Kernel::copy_to(&mut kernel, slot::VDSO, VVAR_ADDRESS, &7u32.to_le_bytes()).unwrap();
        }
        system.restart();
        let (sequence, body) = clock_page(&mut system, lane);
        assert!(sequence.is_multiple_of(2), "{sequence}");
        assert_eq!(body, expected_page(1_700_000_000_000_000_000));
        assert_eq!(system.peek(lane, ADDRESS, 4), b"\x7fELF");
    }
    assert_eq!(system.machine.0.borrow().used_pages(), pages);
}

#[test]
fn wall_clock_is_set_once_wherever_posix_dies() {
    for nth in 1.. {
        let (mut system, lane) = System::start();
        system.poke(lane, DATA, &[5u64.to_le_bytes(), 7u64.to_le_bytes()].concat());
        let (died, result) = system.call_crashing_at_store(lane, 227, [0, DATA, 0, 0, 0, 0], nth);
        assert_eq!(result, Some(0));
        assert_eq!(clock_page(&mut system, lane).1, expected_page(5_000_000_007 - 1_000_000), "store {nth}");
        if !died {
            assert!(nth > 1, "it is saved");
            return;
        }
    }
}

#[test]
fn clock_by_calls_is_an_option() {
    let (mut system, lane) = System::start_with("script=/run/script\nclock=call");
    let (_, body) = clock_page(&mut system, lane);
    assert_eq!(body[..4], [0; 4]);
    assert_eq!(system.call(lane, 228, [1, DATA, 0, 0, 0, 0]), Some(0));
}

#[test]
fn without_memory_for_it_programs_go_without() {
    let (mut system, lane) = System::start();
    system.posix().has_vdso = false;
    let mut areas = crate::vma::Areas::default();
    let map = system.map_of(lane);
    assert_eq!(system.posix().map_vdso(map, &mut areas), Ok(0));
    assert!(areas.0.is_empty());
}
