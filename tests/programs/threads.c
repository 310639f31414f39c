// threads.c -- a libc's threads, allocator, time and signals in one small program; its output is the same everywhere.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 3000, ITEMS = 500, BIG = 1 << 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static __thread int mine = 7;
static long counter, queued, taken, onces, destroyed;
static volatile sig_atomic_t got;

static void
on_signal(int sig)
{
  got = sig;
}

static void
run_once(void)
{
  onces++;
}

static void
destroy(void *p)
{
  __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
  free(p);
}

static void *
worker(void *arg)
{
  long id = (long)arg;

  pthread_once(&once, run_once);
  pthread_setspecific(key, malloc(16));
  mine += id;
  pthread_barrier_wait(&barrier);
  for(int i = 0; i < ROUNDS; i++) {
    char *p = malloc(16 + (i * 37 + id * 101) % 5000);

    p[0] = i;
    pthread_mutex_lock(&lock);
    counter++;
    pthread_mutex_unlock(&lock);
    free(p);
  }
  return (void *)(long)mine;
}

static void *
consumer(void *arg)
{
  long n = 0;

  pthread_mutex_lock(&lock);
  while(taken < ITEMS) {
    while(queued == 0 && taken < ITEMS)
      pthread_cond_wait(&more, &lock);
    if(queued > 0) {
      queued--;
      n++;
      if(++taken == ITEMS)
        pthread_cond_broadcast(&more);
    }
  }
  pthread_mutex_unlock(&lock);
  return (void *)n;
}

static void
workers(void)
{
  pthread_t t[THREADS];
  long sum = 0;

  pthread_barrier_init(&barrier, 0, THREADS);
  pthread_key_create(&key, destroy);
  for(long i = 0; i < THREADS; i++)
    if(pthread_create(&t[i], 0, worker, (void *)i))
      printf("no thread\n");
  for(int i = 0; i < THREADS; i++) {
    void *r;

    pthread_join(t[i], &r);
    sum += (long)r;
  }
  printf("counter %ld thread-locals %ld once %ld destructors %ld\n", counter, sum, onces, destroyed);
}

static void
queue(void)
{
  pthread_t t[3];
  long n = 0;

  for(int i = 0; i < 3; i++)
    pthread_create(&t[i], 0, consumer, 0);
  for(int i = 0; i < ITEMS; i++) {
    pthread_mutex_lock(&lock);
    queued++;
    pthread_cond_signal(&more);
    pthread_mutex_unlock(&lock);
  }
  for(int i = 0; i < 3; i++) {
    void *r;

    pthread_join(t[i], &r);
    n += (long)r;
  }
  printf("consumed %ld\n", n);
}

static void
waits(void)
{
  struct timespec until;
  sem_t s;

  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 20000000;
  if(until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&lock);
  printf("timed wait: %s\n", strerror(pthread_cond_timedwait(&more, &lock, &until)));
  pthread_mutex_unlock(&lock);
  sem_init(&s, 0, 1);
  sem_wait(&s);
  errno = 0;
  printf("sem_timedwait %d", sem_timedwait(&s, &until));
  printf(" %s\n", strerror(errno));
}

static void *
sleeper(void *arg)
{
  for(;;)
    pause();
}

static void
signals(void)
{
  struct sigaction sa = {.sa_handler = on_signal};
  pthread_t t;
  void *r;

  sigaction(SIGUSR1, &sa, 0);
  raise(SIGUSR1);
  printf("raised %d\n", got);
  pthread_create(&t, 0, sleeper, 0);
  pthread_cancel(t);
  pthread_join(t, &r);
  printf("cancelled %d\n", r == PTHREAD_CANCELED);
}

static void
memory(void)
{
  char *p = malloc(BIG), *q;
  unsigned long sum = 0;

  memset(p, 1, BIG);
  q = realloc(p, 64 * BIG);
  for(int i = 0; i < BIG; i++)
    sum += q[i];
  free(q);
  printf("sum after realloc %lu\n", sum);
}

static void
processes(void)
{
  sem_t *s = mmap(0, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int status;
  pid_t pid;

  sem_init(s, 1, 0);
  fflush(stdout);
  pid = fork();
  if(pid == 0) {
    usleep(10000);
    sem_post(s);
    _exit(42);
  }
  sem_wait(s);
  waitpid(pid, &status, 0);
  printf("child said %d\n", WEXITSTATUS(status));
  fflush(stdout);
  status = system("echo from a shell; exit 3");
  printf("shell said %d\n", WEXITSTATUS(status));
}

int
main(int argc, char **argv)
{
  FILE *f;
  char line[64] = "";

  printf("arguments %d %s\n", argc, argc > 1 ? argv[1] : "-");
  workers();
  queue();
  waits();
  signals();
  memory();
  processes();
  f = popen("printf 'a b c' | wc -c", "r");
  if(f && fgets(line, sizeof(line), f))
    printf("popen %d\n", atoi(line));
  return f && pclose(f) == 0 ? 5 : 6;
}
