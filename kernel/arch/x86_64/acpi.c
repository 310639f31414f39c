// acpi.c -- what firmware's tables say: CPUs, IOAPICs (MADT), power and timer ports (FADT), HPET, PCI's window (MCFG).
// Typical: acpi_init() once, after page tables can grow; everybody else reads `acpi`.
// No AML: devices are found through PCI. A machine without tables gets one CPU and the usual addresses.
// Must not believe a length: every table is summed, and every entry is checked against its table's end.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/x86.h"
#include "core/print.h"
#include "lib/string.h"
#include "lib/util.h"
#include "mm/mm.h"

enum {
  LAPIC_USUAL = 0xfee00000,
  IOAPIC_USUAL = 0xfec00000,
  RSDP_SCAN_LO = 0xe0000,
  RSDP_SCAN_HI = 0x100000,
  RSDP_STEP = 16,
  RSDP_V1_SIZE = 20,
  RSDP_V2 = 2,
  TABLE_MAX = 1 << 20, // a longer table is taken for damage
  CPUID_BASIC = 1,     // ebx 31:24: this CPU's APIC id
  CPUID_ID_SHIFT = 24,
  CPUID_TOPOLOGY = 0xb, // edx: the same in 32 bits
};

struct rsdp {
  char signature[8];
  uint8_t checksum;
  char oem[6];
  uint8_t revision;
  uint32_t rsdt;
  uint32_t length; // from here on only with revision >= 2
  uint64_t xsdt;
  uint8_t checksum2, reserved[3];
} __attribute__((packed));

struct table {
  char signature[4];
  uint32_t length;
  uint8_t revision, checksum;
  char oem[6], oem_table[8];
  uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct madt {
  struct table head;
  uint32_t lapic, flags;
  uint8_t entries[];
} __attribute__((packed));
enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_ADDRESS = 5, MADT_X2APIC = 9, MADT_ENABLED = 1 };
union madt_entry {
  struct {
    uint8_t type, length;
  };
  struct {
    uint8_t head[2], uid, id;
    uint32_t flags;
  } __attribute__((packed)) lapic;
  struct {
    uint8_t head[2], id, reserved;
    uint32_t address, gsi;
  } __attribute__((packed)) ioapic;
  struct {
    uint8_t head[2], bus, source;
    uint32_t gsi;
    uint16_t flags;
  } __attribute__((packed)) override;
  struct {
    uint8_t head[2], reserved[2];
    uint64_t address;
  } __attribute__((packed)) lapic_address;
  struct {
    uint8_t head[2], reserved[2];
    uint32_t id, flags, uid;
  } __attribute__((packed)) x2apic;
};

struct fadt { // the fields used, at their places
  struct table head;
  uint8_t skip1[64 - sizeof(struct table)];
  uint32_t pm1a_control; // 0x40
  uint8_t skip2[76 - 68];
  uint32_t pm_timer; // 0x4c
} __attribute__((packed));

struct hpet_table {
  struct table head;
  uint32_t block;
  uint8_t space, width, offset, access; // generic address: space 0 is memory
  uint64_t address;
} __attribute__((packed));

struct mcfg_entry {
  uint64_t base;
  uint16_t segment;
  uint8_t bus_first, bus_last;
  uint32_t reserved;
} __attribute__((packed));
struct mcfg {
  struct table head;
  uint64_t reserved;
  struct mcfg_entry entry[];
} __attribute__((packed));

_Static_assert(offsetof(struct fadt, pm1a_control) == 0x40 && offsetof(struct fadt, pm_timer) == 0x4c, "FADT");
_Static_assert(offsetof(struct hpet_table, address) == 0x2c && offsetof(struct mcfg, entry) == 0x2c, "HPET, MCFG");
_Static_assert(offsetof(struct madt, entries) == 0x2c, "MADT");

struct acpi_tables acpi; // (c) after acpi_init

static bool
acpi_sums(const void *p, size_t n) // all bytes add up to 0
{
  const uint8_t *b = p;
  uint8_t sum = 0;

  while(n--)
    sum += *b++;
  return sum == 0;
}

static bool
acpi_rsdp_good(const struct rsdp *r)
{
  return memcmp(r->signature, "RSD PTR ", sizeof(r->signature)) == 0 && acpi_sums(r, RSDP_V1_SIZE);
}

// The table at pa, whole and with a right sum, mapped for ever; 0 if it is not one.
static const struct table *
acpi_table(paddr_t pa)
{
  const struct table *t = pa ? io_map_table(pa, sizeof(*t)) : 0;

  if(t == 0 || t->length < sizeof(*t) || t->length > TABLE_MAX)
    return 0;
  t = io_map_table(pa, t->length);
  return t && acpi_sums(t, t->length) ? t : 0;
}

static void
acpi_add_cpu(uint32_t id, uint32_t flags)
{
  if(!(flags & MADT_ENABLED))
    return;
  for(int i = 0; i < acpi.ncpu; i++)
    if(acpi.cpu[i].hw_id == id)
      return;
  if(acpi.ncpu < CPU_MAX)
    acpi.cpu[acpi.ncpu++].hw_id = id;
}

static void
acpi_madt_entry(const union madt_entry *e)
{
  unsigned n;

  switch(e->type) {
  case MADT_LAPIC:
    if(e->length >= sizeof(e->lapic))
      acpi_add_cpu(e->lapic.id, e->lapic.flags);
    break;
  case MADT_X2APIC:
    if(e->length >= sizeof(e->x2apic) && cpu_features.x2apic)
      acpi_add_cpu(e->x2apic.id, e->x2apic.flags);
    break;
  case MADT_IOAPIC:
    if(e->length >= sizeof(e->ioapic) && acpi.nioapic < array_len(acpi.ioapic)) {
      acpi.ioapic_gsi[acpi.nioapic] = e->ioapic.gsi;
      acpi.ioapic[acpi.nioapic++] = e->ioapic.address;
    }
    break;
  case MADT_OVERRIDE:
    n = e->override.source;
    if(e->length >= sizeof(e->override) && n < array_len(acpi.override)) {
      acpi.override[n].gsi = e->override.gsi;
      acpi.override[n].flags = e->override.flags;
      acpi.override[n].set = true;
    }
    break;
  case MADT_LAPIC_ADDRESS:
    if(e->length >= sizeof(e->lapic_address))
      acpi.lapic = e->lapic_address.address;
    break;
  }
}

static void
acpi_madt(const struct table *t)
{
  const struct madt *m = (const struct madt *)t;
  const uint8_t *at = m->entries, *end = (const uint8_t *)t + t->length;

  if(t->length < sizeof(*m))
    return;
  acpi.lapic = m->lapic;
  while(end - at >= 2 && at[1] >= 2 && at[1] <= end - at) {
    acpi_madt_entry((const union madt_entry *)at);
    at += at[1];
  }
}

static void
acpi_mcfg(const struct table *t)
{
  const struct mcfg *m = (const struct mcfg *)t;
  const struct mcfg_entry *e = m->entry;

  for(; (const uint8_t *)(e + 1) <= (const uint8_t *)t + t->length; e++) {
    if(e->segment != 0)
      continue;
    acpi.ecam = e->base;
    acpi.ecam_bus_first = e->bus_first;
    acpi.ecam_bus_last = e->bus_last;
    return;
  }
}

static void
acpi_read(const struct table *t)
{
  if(memcmp(t->signature, "APIC", sizeof(t->signature)) == 0)
    acpi_madt(t);
  else if(memcmp(t->signature, "MCFG", sizeof(t->signature)) == 0)
    acpi_mcfg(t);
  else if(memcmp(t->signature, "FACP", sizeof(t->signature)) == 0 && t->length >= sizeof(struct fadt)) {
    acpi.pm1a_cnt = ((const struct fadt *)t)->pm1a_control;
    acpi.pm_timer = ((const struct fadt *)t)->pm_timer;
  } else if(memcmp(t->signature, "HPET", sizeof(t->signature)) == 0 && t->length >= sizeof(struct hpet_table)) {
    if(((const struct hpet_table *)t)->space == 0)
      acpi.hpet = ((const struct hpet_table *)t)->address;
  }
}

// Read every table that the RSDT (4-byte pointers) or XSDT (8-byte ones) at `pa` names: false if there is none.
static bool
acpi_read_all(paddr_t pa, size_t width)
{
  const struct table *root = acpi_table(pa);
  const uint8_t *at;

  if(root == 0)
    return false;
  for(at = (const uint8_t *)(root + 1); (size_t)(at - (const uint8_t *)root) + width <= root->length; at += width) {
    uint64_t entry = 0;
    const struct table *t;

    memcpy(&entry, at, width);
    t = acpi_table(entry);
    if(t)
      acpi_read(t);
  }
  return true;
}

static const struct rsdp *
acpi_scan(void)
{
  const uint8_t *p = io_map_table(RSDP_SCAN_LO, RSDP_SCAN_HI - RSDP_SCAN_LO);

  for(size_t off = 0; p && off < RSDP_SCAN_HI - RSDP_SCAN_LO; off += RSDP_STEP)
    if(acpi_rsdp_good((const struct rsdp *)(p + off)))
      return (const struct rsdp *)(p + off);
  return 0;
}

// What firmware handed over, if it is sound; else the one in the BIOS area; else 0.
static const struct rsdp *
acpi_find_rsdp(void)
{
  const struct rsdp *r = 0;

  if(boot_info.rsdp_is_copy)
    r = (const struct rsdp *)boot_info.rsdp_copy;
  else if(boot_info.rsdp)
    r = io_map_table(boot_info.rsdp, sizeof(*r));
  return r && acpi_rsdp_good(r) ? r : acpi_scan();
}

// The first CPU is number 0 whatever the table's order.
static void
acpi_put_boot_cpu_first(void)
{
  uint32_t me = cpu_features.x2apic ? cpuid(CPUID_TOPOLOGY, 0).edx : cpuid(CPUID_BASIC, 0).ebx >> CPUID_ID_SHIFT;

  for(int i = 0; i < acpi.ncpu; i++)
    if(acpi.cpu[i].hw_id == me) {
      acpi.cpu[i].hw_id = acpi.cpu[0].hw_id;
      acpi.cpu[0].hw_id = me;
      return;
    }
  acpi.ncpu = 1;
  acpi.cpu[0].hw_id = me;
}

void
acpi_init(void)
{
  const struct rsdp *r = acpi_find_rsdp();
  bool found = false;

  acpi.lapic = LAPIC_USUAL;
  if(r && r->revision >= RSDP_V2 && r->xsdt)
    found = acpi_read_all(r->xsdt, sizeof(uint64_t));
  if(r && !found)
    found = acpi_read_all(r->rsdt, sizeof(uint32_t));
  if(!found)
    print("acpi: no tables; one CPU, usual interrupt controllers\n");
  if(acpi.nioapic == 0) {
    acpi.ioapic[0] = IOAPIC_USUAL;
    acpi.nioapic = 1;
  }
  acpi_put_boot_cpu_first();
}
